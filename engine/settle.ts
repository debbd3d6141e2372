/**
 * What follows every change of a job: Redis learns of the row, the people concerned are told, and
 * the row is marked as settled. Safe to repeat; whatever a crash leaves undone the reconciler does.
 */
import type { EngineContext } from './context.ts';
import { isClaimable, isHeld, type JobRow } from './domain/job.ts';
import type { App } from './domain/notices.ts';
import { syncDriver } from './drivers.ts';
import { driverCard } from './pg/drivers.ts';
import { markSettled } from './pg/jobs.ts';
import { type NotificationRow, notificationsOf } from './pg/notifications.ts';
import { putRow } from './rebuild.ts';
import { usersLog } from './redis/keys.ts';
import { appendLog } from './redis/scripts.ts';

/** A frame for one user, as the users log carries it. */
export interface UserEvent {
  user: string;
  app: App;
  event: string;
  data: object;
  /** The change of a job that it tells of, which a later one overtakes; notifications stand. */
  job: { id: string; version: number } | null;
}

/** Puts the row, tells who is concerned, marks it settled. Throws when Redis or Postgres is away. */
export async function settleJob(ctx: EngineContext, row: JobRow): Promise<void> {
  await putRow(ctx, row);
  const notes = row.version > 1 ? await notificationsOf(ctx.db, row.id, row.version) : [];
  for (const event of await userEvents(ctx, row, notes)) {
    await appendLog(ctx.redis, usersLog, JSON.stringify(event));
  }
  for (const note of notes) {
    const about = `${note.title} → ${note.app} ${note.userId}`;
    if (note.doneAt === null) await ctx.push.enqueueNotification(note.id, about);
  }
  await markSettled(ctx.db, row.id, row.version);
}

/** `settleJob` where the answer does not depend on it: a failure is left to the reconciler. */
export async function trySettle(ctx: EngineContext, row: JobRow): Promise<void> {
  try {
    await settleJob(ctx, row);
  } catch (error) {
    ctx.log.warn({ err: error, job: row.id }, 'job not yet settled, will be repeated');
  }
}

/**
 * With a job limit, what a driver holds decides what he is offered. His rev moved with the change of
 * the job, so what fails here the reconciler brings to Redis.
 */
export async function driverLoadChanged(ctx: EngineContext, driverId: string): Promise<void> {
  if (ctx.settings.driverMaxActiveJobs === 0) return;
  try {
    await syncDriver(ctx, driverId);
  } catch (error) {
    ctx.log.warn({ err: error, driver: driverId }, 'driver not yet in Redis, will be repeated');
  }
}

async function userEvents(
  ctx: EngineContext,
  row: JobRow,
  notes: readonly NotificationRow[],
): Promise<UserEvent[]> {
  const job = { id: row.id, version: row.version };
  const status = {
    job,
    event: 'job:status',
    data: {
      job_id: row.id,
      status: row.status,
      version: row.version,
      ...(row.driverId !== null && { driver_id: row.driverId }),
    },
  };
  const events: UserEvent[] = [{ user: row.customerId, app: 'customer', ...status }];
  if (row.driverId !== null && !isClaimable(row.status)) {
    events.push({ user: row.driverId, app: 'driver', ...status });
  }
  if (row.driverId !== null && row.status === 'accepted') {
    events.push({
      user: row.customerId,
      app: 'customer',
      job,
      event: 'job:driver-assigned',
      data: { job_id: row.id, driver: await driverCard(ctx.db, row.driverId) },
    });
  }
  for (const note of notes) {
    const { id, type, title, body, data } = note;
    events.push({
      user: note.userId,
      app: note.app,
      job: null,
      event: 'notification',
      data: { id, type, title, body, data },
    });
  }
  return events;
}

/** Does the row's driver hold it now? */
export function holds(row: JobRow, driverId: string): boolean {
  return isHeld(row.status) && row.driverId === driverId;
}
