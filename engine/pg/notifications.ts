/**
 * Notifications, device tokens and push attempts in Postgres. A notification is done when the
 * outcome of its push, or that there is no device, is on record.
 */
import { sql } from 'drizzle-orm';
import type { App, NoticeType } from '../domain/notices.ts';
import { anyOf, type Db } from './client.ts';
import type { RowOf } from './jobs.ts';

export interface NotificationRow {
  id: string;
  userId: string;
  app: App;
  jobId: string;
  version: number;
  type: NoticeType;
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

/** A user's notifications, newest first. */
export async function listNotifications(
  db: Db,
  userId: string,
  app: App,
  page: { before?: string; limit: number },
): Promise<NotificationRow[]> {
  const before = page.before ?? null;
  return db.execute<RowOf<NotificationRow>>(sql`
    select ${NOTIFICATION_COLUMNS} from notifications n
    where n.user_id = ${userId} and n.app = ${app}
      and (${before}::text is null or (n.created_at, n.id) <
        (select b.created_at, b.id from notifications b where b.id = ${before}))
    order by n.created_at desc, n.id desc limit ${page.limit}::int`);
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

/** Is a notification among what these changes of a job have to tell people? */
export function tellsOf(note: NotificationRow, change: Unsettled): boolean {
  return (
    note.jobId === change.id &&
    change.settledVersion < note.version &&
    note.version <= change.version
  );
}

/** What these changes of jobs have to tell people, oldest first. */
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
export async function isOvertaken(db: Db, note: NotificationRow): Promise<boolean> {
  const newer = await db.execute(sql`
    select 1 from notifications n
    where n.job_id = ${note.jobId} and n.user_id = ${note.userId} and n.app = ${note.app}
      and n.version > ${note.version}::int
      and (n.done_at is not null or exists (
        select 1 from push_attempts a where a.notification_id = n.id))
    limit 1`);
  return newer.length > 0;
}

export async function markDone(db: Db, id: string): Promise<void> {
  await db.execute(sql`
    update notifications set done_at = coalesce(done_at, now()) where id = ${id}`);
}

/**
 * Notifications without an outcome for a while; they are listed again after the same while, so that
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

/** How many have no outcome although they are so old. */
export async function countUndone(db: Db, olderThanMs: number): Promise<number> {
  const [row] = await db.execute<{ count: number }>(sql`
    select count(*)::int as count from notifications
    where done_at is null
      and created_at <= now() - make_interval(secs => ${olderThanMs}::float8 / 1000)`);
  return row?.count ?? 0;
}

export interface DeviceToken {
  token: string;
  userId: string;
  environment: 'production' | 'sandbox';
}

/** Nobody carries more phones; an app that mints tokens must not make his pushes countless. */
const PHONES_MAX = 10;

/**
 * Registers a phone; a token that changes hands belongs to the newest user, and of a user's phones
 * the newest are kept.
 */
export async function saveDeviceToken(db: Db, device: DeviceToken & { app: App }): Promise<void> {
  await db.execute(sql`
    with dropped as (
      delete from device_tokens where token in (
        select token from device_tokens
        where user_id = ${device.userId} and app = ${device.app} and token <> ${device.token}
        order by registered_at desc offset ${PHONES_MAX - 1}::int))
    insert into device_tokens (token, user_id, app, environment)
    values (${device.token}, ${device.userId}, ${device.app}, ${device.environment})
    on conflict (token) do update set user_id = excluded.user_id, app = excluded.app,
      environment = excluded.environment, registered_at = now()`);
}

export async function deleteDeviceToken(db: Db, userId: string, app: App, token: string) {
  await db.execute(sql`
    delete from device_tokens where token = ${token} and user_id = ${userId} and app = ${app}`);
}

/**
 * Removes a token that Apple reported as gone, unless the app registered it again after the
 * moment Apple names (Apple's rule for the 410 timestamp, in epoch ms): then false.
 */
export async function removeGoneToken(db: Db, token: string, goneAtMs: number): Promise<boolean> {
  const removed = await db.execute(sql`
    delete from device_tokens
    where token = ${token}
      and date_trunc('milliseconds', registered_at) <= to_timestamp(${goneAtMs}::float8 / 1000)
    returning 1`);
  return removed.length > 0;
}

export async function deviceTokensOf(
  db: Db,
  app: App,
  userIds: readonly string[],
): Promise<DeviceToken[]> {
  return db.execute<RowOf<DeviceToken>>(sql`
    select token, user_id as "userId", environment from device_tokens
    where app = ${app}
      and user_id = ${anyOf(userIds)}
    order by user_id, registered_at`);
}

export type PushOutcome = 'sent' | 'rejected' | 'never_processed' | 'unknown' | 'not_sent';

export interface PushAttempt {
  apnsId: string;
  jobId: string;
  wave: number;
  userId: string;
  app: App;
  lane: 'critical' | 'nearby';
  kind: string;
  notificationId: string | null;
  tokenSuffix: string;
  /** The attempt whose place it takes. */
  resendOf?: string;
}

/**
 * Puts pushes on record before they are sent (outcome `unknown` until the answer is in) and returns
 * the ids of those that may not be sent, few or none. In the nearby lane that is decided here, once for
 * ever: a driver's first pushes of a wave may, or one that takes the place of an attempt that failed. Of
 * two runs of a task one gets them.
 */
export async function recordAttempts(
  db: Db,
  attempts: readonly PushAttempt[],
): Promise<Set<string>> {
  if (attempts.length === 0) return new Set();
  const rows = await db.execute<{ id: string }>(sql`
    with a as (
      select * from jsonb_to_recordset(${JSON.stringify(attempts)}::text::jsonb)
        as r("apnsId" text, "jobId" text, wave int, "userId" text, app text, lane text, kind text,
          "notificationId" text, "tokenSuffix" text, "resendOf" text)),
    marked as (
      insert into push_marks (job_id, wave, driver_id)
      select distinct "jobId", wave, "userId" from a
      where lane = 'nearby' and "resendOf" is null order by 1, 2, 3
      on conflict do nothing returning job_id, wave, driver_id),
    taken as (
      update push_attempts p set resent = true from a
      where p.apns_id = a."resendOf" and not p.resent returning p.apns_id),
    mine as (
      insert into push_attempts (apns_id, job_id, wave, user_id, app, lane, kind, notification_id,
        token_suffix)
      select "apnsId", "jobId", wave, "userId", app, lane, kind, "notificationId", "tokenSuffix" from a
      where lane <> 'nearby' or "resendOf" in (select apns_id from taken)
        or ("jobId", wave, "userId") in (select job_id, wave, driver_id from marked)
      returning apns_id)
    select "apnsId" as id from a where "apnsId" not in (select apns_id from mine)`);
  return new Set(rows.map((row) => row.id));
}

export interface PushResult {
  apnsId: string;
  outcome: PushOutcome;
  status: number | null;
  reason: string | null;
  latencyMs: number | null;
  /** Apple's own, if it gave one: in the sandbox, when it takes a push. */
  apnsUniqueId?: string;
}

export async function recordResults(db: Db, results: readonly PushResult[]): Promise<void> {
  if (results.length === 0) return;
  const own = results.map(({ apnsId, outcome, status, reason, latencyMs, apnsUniqueId }) => {
    return { apnsId, outcome, status, reason, latencyMs, apnsUniqueId };
  });
  await db.execute(sql`
    update push_attempts a set outcome = r.outcome, status = r.status, reason = r.reason,
      latency_ms = r."latencyMs", apns_unique_id = r."apnsUniqueId"
    from jsonb_to_recordset(${JSON.stringify(own)}::text::jsonb)
      as r("apnsId" text, outcome text, status int, reason text, "latencyMs" int,
        "apnsUniqueId" text)
    where a.apns_id = r."apnsId"`);
}

export interface AttemptRow
  extends Omit<PushAttempt, 'resendOf'>,
    Omit<PushResult, 'apnsUniqueId'> {
  apnsUniqueId: string | null;
  at: number;
}

const ATTEMPT_COLUMNS = sql.raw(`
  apns_id as "apnsId", apns_unique_id as "apnsUniqueId", job_id as "jobId", wave, user_id as "userId", app, lane, kind,
  notification_id as "notificationId", token_suffix as "tokenSuffix", outcome, status, reason,
  latency_ms as "latencyMs", floor(extract(epoch from at) * 1000)::float8 as at`);

/** The attempts of a wave's push to these drivers in whose place no other was made. */
export async function lastAttempts(
  db: Db,
  jobId: string,
  wave: number,
  among: readonly string[],
): Promise<AttemptRow[]> {
  return db.execute<RowOf<AttemptRow>>(sql`
    select ${ATTEMPT_COLUMNS} from push_attempts
    where job_id = ${jobId} and wave = ${wave}::int and lane = 'nearby' and not resent
      and user_id = ${anyOf(among)}
    order by id`);
}

/** The attempts of one notification, or all of one job, oldest first. */
export async function listAttempts(
  db: Db,
  of: { jobId: string } | { notificationId: string },
): Promise<AttemptRow[]> {
  const where =
    'jobId' in of ? sql`job_id = ${of.jobId}` : sql`notification_id = ${of.notificationId}`;
  return db.execute<RowOf<AttemptRow>>(sql`
    select ${ATTEMPT_COLUMNS} from push_attempts where ${where} order by id`);
}

/** A gateway's deliveries: to which drivers' sockets each job went. */
export async function saveDeliveries(
  db: Db,
  deliveries: readonly { jobId: string; driverIds: readonly string[] }[],
): Promise<void> {
  await db.execute(sql`
    insert into job_deliveries (job_id, driver_ids)
    select value->>'jobId', array(select jsonb_array_elements_text(value->'driverIds'))
    from jsonb_array_elements(${JSON.stringify(deliveries)}::text::jsonb)`);
}
