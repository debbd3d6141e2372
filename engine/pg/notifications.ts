/**
 * Notifications in Postgres. One is done when the outcome of its push, or the lack of a device, is on
 * record.
 */

import type { App, NotificationType } from '../domain/notifications.ts';
import type { Place } from '../lists/cursors.ts';
import type { Db } from './client.ts';
import { sql } from './drizzle.ts';
import { placeOf, timeAt } from './job-lists.ts';
import type { RowOf } from './jobs.ts';

export interface NotificationRow {
  id: string;
  userId: string;
  app: App;
  jobId: string;
  version: number;
  type: NotificationType;
  title: string;
  body: string;
  data: { job_id: string; type: string; version: number };
  createdAt: number;
  readAt: number | null;
  doneAt: number | null;
}

const NOTIFICATION_COLUMNS = sql.raw(`
  n.id, n.user_id as "userId", n.app, n.job_id as "jobId", n.version, n.type, n.title, n.body,
  n.data, floor(extract(epoch from n.created_at) * 1000)::float8 as "createdAt",
  floor(extract(epoch from n.read_at) * 1000)::float8 as "readAt",
  floor(extract(epoch from n.done_at) * 1000)::float8 as "doneAt"`);

/** A page of a user's notifications after a place, newest first. */
export async function listNotifications(
  db: Db,
  userId: string,
  app: App,
  { after = null, limit }: { after?: Place | null; limit: number },
): Promise<(NotificationRow & { place: string })[]> {
  const older = after ? sql`and (n.created_at, n.id) < (${timeAt(after.at)}, ${after.id})` : sql``;
  return db.execute<RowOf<NotificationRow & { place: string }>>(sql`
    select ${NOTIFICATION_COLUMNS}, ${placeOf(sql`n.created_at`)} as place from notifications n
    where n.user_id = ${userId} and n.app = ${app} ${older}
    order by n.created_at desc, n.id desc limit ${limit}::int`);
}

/** Null when the user has no such notification. */
export async function markRead(
  db: Db,
  userId: string,
  app: App,
  id: string,
): Promise<NotificationRow | null> {
  const [row] = await db.execute<RowOf<NotificationRow>>(sql`
    with n as (
      update notifications set read_at = coalesce(read_at, now())
      where id = ${id} and user_id = ${userId} and app = ${app} returning *)
    select ${NOTIFICATION_COLUMNS} from n`);
  return row ?? null;
}

/** A job's version, and the last one of which people were told. */
export interface Unsettled {
  id: string;
  version: number;
  settledVersion: number;
}

/** Do these changes of a job include a notification? */
export function tellsOf(note: NotificationRow, change: Unsettled): boolean {
  return (
    note.jobId === change.id &&
    change.settledVersion < note.version &&
    note.version <= change.version
  );
}

/** The notifications of these changes of jobs, oldest first. */
export async function notificationsOf(
  db: Db,
  changes: readonly Unsettled[],
): Promise<NotificationRow[]> {
  if (changes.length === 0) return [];
  const rows = await db.execute<RowOf<NotificationRow>>(sql`
    select ${NOTIFICATION_COLUMNS} from notifications n
    where n.job_id = any(string_to_array(${changes.map(({ id }) => id).join()}, ','))
    order by n.version`);
  const byJob = Map.groupBy(changes, ({ id }) => id);
  return rows.filter((note) => byJob.get(note.jobId)?.some((change) => tellsOf(note, change)));
}

export async function findNotification(db: Db, id: string): Promise<NotificationRow | null> {
  const [row] = await db.execute<RowOf<NotificationRow>>(
    sql`select ${NOTIFICATION_COLUMNS} from notifications n where n.id = ${id}`,
  );
  return row ?? null;
}

/** Has its user been pushed something newer about the same job? */
export async function isOvertaken(
  db: Db,
  note: Pick<NotificationRow, 'jobId' | 'userId' | 'app' | 'version'>,
): Promise<boolean> {
  const newer = await db.execute(sql`
    -- "offset 0": looked up by the job; one user may have had notifications of thousands.
    select 1 from (
      select * from notifications
      where job_id = ${note.jobId} and version > ${note.version}::int offset 0) n
    where n.user_id = ${note.userId} and n.app = ${note.app}
      and (n.done_at is not null
        -- Not "exists": that would be a plan of its own, which reads all attempts once.
        or (select true from notification_pushes p where p.notification_id = n.id limit 1)
        or (select true from push_attempts a where a.notification_id = n.id limit 1))
    limit 1`);
  return newer.length > 0;
}

export async function markDone(db: Db, id: string): Promise<void> {
  await db.execute(sql`
    update notifications set done_at = coalesce(done_at, now()) where id = ${id}`);
}

/**
 * Notifications without an outcome for a while. Each is listed again only after the same while, so that
 * many that cannot be delivered do not hide the others.
 */
export async function takeUndone(db: Db, olderThanMs: number, limit: number): Promise<string[]> {
  const rows = await db.execute<{ id: string }>(sql`
    update notifications set enqueued_at = now() where id in (
      select id from notifications
      where done_at is null
        and enqueued_at <= now() - make_interval(secs => ${olderThanMs}::float8 / 1000)
      order by enqueued_at limit ${limit}::int)
    returning id`);
  return rows.map((row) => row.id);
}

/** How many older than this have no outcome. */
export async function countUndone(db: Db, olderThanMs: number): Promise<number> {
  const [row] = await db.execute<{ count: number }>(sql`
    select count(*)::int as count from notifications
    where done_at is null
      and created_at <= now() - make_interval(secs => ${olderThanMs}::float8 / 1000)`);
  return row?.count ?? 0;
}
