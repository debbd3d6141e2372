/**
 * What follows every change of a job: Redis learns of the row, the people concerned are told, and
 * the row is marked as settled. Safe to repeat; whatever a crash leaves undone the reconciler does.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type EngineContext, withDeadline } from '../context.ts';
import { type DriverCard, isClaimable, isHeld, type JobRow } from '../domain/job.ts';
import type { App } from '../domain/notices.ts';
import { driverCards } from '../pg/drivers.ts';
import { findJob } from '../pg/jobs.ts';
import { type NotificationRow, notificationsOf, tellsOf } from '../pg/notifications.ts';
import { markSettled } from '../pg/work-lists.ts';
import { usersLog } from '../redis/keys.ts';
import { appendLog } from '../redis/log-scripts.ts';
import { putRow } from './zones.ts';

/** A frame for one user, as the users log carries it. */
export interface UserEvent {
  user: string;
  app: App;
  event: string;
  data: object;
  /** The change of a job that it tells of, which a later one overtakes; notifications stand. */
  job: { id: string; version: number } | null;
}

/** Told in one go: fewer and larger writes are what a burst of claims can pay for. */
const BATCH_MAX = 256;
/** A burst that does not end holds nobody's news up for longer than this. */
const TELL_WAIT_MAX_MS = 200;
/** What is under way beyond it is left to the reconciler. */
const QUEUE_MAX = 4096;
/** Somebody waits for an answer that does not depend on it; what hangs longer is repeated behind it. */
const ANSWER_WAIT_MS = 2000;
/** Pauses between attempts: together as long as the reconciler waits before it takes over. */
const REPEAT_AFTER_MS = [100, 200, 400, 800, 1000];

/**
 * Puts the row, tells who is concerned, marks it settled. `readUnder`: the run id of Redis from before
 * the row was written, where it is known. Throws when Redis or Postgres is away.
 */
export async function settleJob(
  ctx: EngineContext,
  row: JobRow,
  readUnder: string | null = null,
): Promise<void> {
  await putRow(ctx, row, readUnder);
  await tell(ctx, [row]);
}

/** Tells the people concerned of rows that Redis has, and marks them settled. */
async function tell(ctx: EngineContext, rows: readonly JobRow[]): Promise<void> {
  const [notes, cards] = await Promise.all([
    notificationsOf(
      ctx.db,
      rows.filter((row) => row.version > 1),
    ),
    driverCards(
      ctx.db,
      rows.flatMap((row) => (isHeld(row.status) && row.driverId !== null ? [row.driverId] : [])),
    ),
  ]);
  await appendEvents(
    ctx,
    rows.flatMap((row) => {
      const own = notes.filter((note) => tellsOf(note, row));
      return changeEvents(row, own, cards);
    }),
  );
  const undone = notes.filter((note) => note.doneAt === null);
  if (undone.length > 0) {
    await ctx.push.enqueueNotifications(
      undone.map(({ id, title, app, userId }) => ({ id, about: `${title} → ${app} ${userId}` })),
    );
  }
  // No session drops them as old: were they told before the queue has them, each try would tell them again.
  await appendEvents(ctx, notes.map(noteEvent));
  await markSettled(ctx.db, rows);
}

async function appendEvents(ctx: EngineContext, events: readonly UserEvent[]): Promise<void> {
  if (events.length === 0) return;
  await appendLog(
    ctx.redis,
    usersLog,
    events.map((event) => JSON.stringify(event)),
  );
}

/**
 * `settleJob` where the answer does not depend on it: after a failure it is repeated behind the
 * answer, then left to the reconciler.
 */
export async function trySettle(
  ctx: EngineContext,
  row: JobRow,
  readUnder: string | null = null,
): Promise<void> {
  try {
    await withDeadline(settleJob(ctx, row, readUnder), ANSWER_WAIT_MS, () => {
      return new Error('settling takes too long');
    });
  } catch (error) {
    ctx.log.warn({ err: error, job: row.id }, 'job not yet settled, will be repeated');
    ctx.background(settleLater(ctx, row));
  }
}

/** Until then an open job may be offered to nobody, and the old tombstone refuses who taps it. */
async function settleLater(ctx: EngineContext, { id, version }: JobRow): Promise<void> {
  for (const ms of REPEAT_AFTER_MS) {
    await sleep(ms);
    // In an outage nothing is asked of Postgres for it.
    if (ctx.redis.status !== 'ready') continue;
    try {
      const row = await findJob(ctx.db, id);
      if (row && row.settledVersion < version) await settleJob(ctx, row);
      return;
    } catch (error) {
      ctx.log.warn({ err: error, job: id }, 'job still not settled');
    }
  }
}

/**
 * Settles the rows of many claims: each is put at once, since others tap it meanwhile; the people
 * concerned are told in batches, one of them in flight, which wait while claims are committed (`quiet`),
 * so that a burst's answers come first. The returned promise never rejects; what fails in a batch is
 * tried by itself, so that one row does not fail the others, and then left to the reconciler.
 */
export function createSettler(
  ctx: EngineContext,
  quiet: () => Promise<void>,
): (row: JobRow) => Promise<void> {
  const waiting: { row: JobRow; since: number; resolve(): void; reject(error: unknown): void }[] =
    [];
  let underWay = 0;
  let telling = false;

  async function pump(): Promise<void> {
    if (telling) return;
    telling = true;
    for (let oldest = waiting[0]; oldest; oldest = waiting[0]) {
      const left = oldest.since + TELL_WAIT_MAX_MS - performance.now();
      if (left > 0) await Promise.race([quiet(), sleep(left)]);
      const batch = waiting.splice(0, BATCH_MAX);
      const rows = batch.map(({ row }) => row);
      try {
        await tell(ctx, rows);
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    telling = false;
  }

  return async (row) => {
    if (underWay >= QUEUE_MAX) return;
    underWay++;
    try {
      await putRow(ctx, row);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      waiting.push({ row, since: performance.now(), resolve, reject });
      void pump();
      await promise;
    } catch {
      await trySettle(ctx, row);
    } finally {
      underWay--;
    }
  };
}

/**
 * With a job limit, what a driver holds decides what he is offered. His rev moved with the change of
 * the job, so what fails here the reconciler brings to Redis.
 */
export async function driverLoadChanged(ctx: EngineContext, driverId: string): Promise<void> {
  if (ctx.settings.driverMaxActiveJobs === 0) return;
  try {
    await ctx.drivers.sync(driverId);
  } catch (error) {
    ctx.log.warn({ err: error, driver: driverId }, 'driver not yet in Redis, will be repeated');
  }
}

/** What the change itself tells: sessions drop it when a later one has overtaken it. */
function changeEvents(
  row: JobRow,
  notes: readonly NotificationRow[],
  cards: ReadonlyMap<string, DriverCard>,
): UserEvent[] {
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
  // Not by the status: he may report how far he is before anybody was told that he comes.
  const isNew = isHeld(row.status) && notes.some(({ type }) => type === 'driver_assigned');
  const driver = isNew && cards.get(row.driverId ?? '');
  if (driver) {
    events.push({
      user: row.customerId,
      app: 'customer',
      job,
      event: 'job:driver-assigned',
      data: { job_id: row.id, driver },
    });
  }
  return events;
}

function noteEvent({ id, userId, app, type, title, body, data }: NotificationRow): UserEvent {
  return {
    user: userId,
    app,
    job: null,
    event: 'notification',
    data: { id, type, title, body, data },
  };
}

/** Does the row's driver hold it now? */
export function holds(row: JobRow, driverId: string): boolean {
  return isHeld(row.status) && row.driverId === driverId;
}
