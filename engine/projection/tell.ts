/**
 * Tells people of a change: frames for single users in the users log, pushes in their queue. Safe to repeat:
 * sessions drop what is old, and a notification that is done is not pushed again.
 */
import type { Resources } from '../context.ts';
import {
  type DriverCard,
  isClaimable,
  isHeld,
  type JobRow,
  type JobStatus,
} from '../domain/job.ts';
import type { App } from '../domain/notifications.ts';
import { driverCards } from '../pg/drivers.ts';
import { type NotificationRow, notificationsOf, tellsOf } from '../pg/notifications.ts';
import type { RedisClient } from '../redis/client.ts';
import { usersLog } from '../redis/keys.ts';
import { appendLog } from '../redis/log-scripts.ts';

/** A frame for one user, as the users log carries it. */
export interface UserEvent {
  user: string;
  app: App;
  event: string;
  data: object;
  /** The change of a job that it is about, which a later change overtakes; a notification stays valid. */
  job: { id: string; version: number } | null;
}

/** An entry of the users log: what any user was told may no longer be true. */
export const ANEW: { anew: true } = { anew: true };

/** Tells people of rows that Redis has. Throws when a store is away. */
export async function tell(resources: Resources, rows: readonly JobRow[]): Promise<void> {
  const { db, push } = resources;
  const changed = rows.filter((row) => row.version > 1);
  const holders = rows.flatMap((row) =>
    isHeld(row.status) && row.driverId !== null ? [row.driverId] : [],
  );
  const [notifications, cards] = await Promise.all([
    notificationsOf(db, changed),
    driverCards(db, holders),
  ]);
  await appendEvents(
    resources,
    rows.flatMap((row) => {
      const own = notifications.filter((notification) => tellsOf(notification, row));
      return changeEvents(row, own, cards);
    }),
  );
  const undone = notifications.filter((notification) => notification.doneAt === null);
  if (undone.length > 0) {
    await push.enqueueNotifications(
      undone.map(({ id, title, app, userId }) => ({ id, about: `${title} → ${app} ${userId}` })),
    );
  }
  // Sessions drop no notification as old, so they are sent only once the queue has them: otherwise each
  // further try would show them again.
  await appendEvents(resources, notifications.map(notificationEvent));
}

/** A job whose row is gone, as Redis held it. */
export interface GoneJob {
  id: string;
  version: number;
  status: string;
  driverId: string | null;
}

/**
 * Tells everybody that Postgres went back. No row says any more which customer had a job that is gone, so
 * all customers are sent what there is. A driver who held such a job is told by name: his app shows it
 * whatever his feed says.
 */
export async function tellWentBack(redis: RedisClient, gone: readonly GoneJob[]): Promise<void> {
  const events = gone.flatMap(({ id, version: held, driverId, status }): UserEvent[] => {
    const version = held + 1;
    if (driverId === null || !isHeld(status as JobStatus)) return [];
    const data = { job_id: id, status: 'cancelled', version, driver_id: driverId };
    return [{ user: driverId, app: 'driver', event: 'job:status', data, job: { id, version } }];
  });
  const bodies = [ANEW, ...events].map((event) => JSON.stringify(event));
  await appendLog(redis, usersLog, bodies);
}

async function appendEvents(
  { redis }: Pick<Resources, 'redis'>,
  events: readonly UserEvent[],
): Promise<void> {
  if (events.length === 0) return;
  const bodies = events.map((event) => JSON.stringify(event));
  await appendLog(redis, usersLog, bodies);
}

/** Frames of the change itself: sessions drop them when a later change has overtaken it. */
function changeEvents(
  row: JobRow,
  notifications: readonly NotificationRow[],
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
  const holder = isClaimable(row.status) ? null : row.driverId;
  for (const user of new Set([holder, ...withdrawnFrom(notifications)])) {
    if (user !== null) events.push({ user, app: 'driver', ...status });
  }
  // Not by the status: the driver may report progress before anybody was told that he is coming.
  const isNew = isHeld(row.status) && notifications.some(({ type }) => type === 'driver_assigned');
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

/** The driver from whom an operator took the job: the row no longer names him. */
function withdrawnFrom(notifications: readonly NotificationRow[]): string[] {
  return notifications.flatMap(({ type, userId }) => (type === 'job_withdrawn' ? [userId] : []));
}

function notificationEvent(row: NotificationRow): UserEvent {
  const { id, userId, app, type, title, body, data } = row;
  return {
    user: userId,
    app,
    job: null,
    event: 'notification',
    data: { id, type, title, body, data },
  };
}
