/** Push attempts in Postgres: on record before they are sent, with their outcome afterwards. */
import { sql } from 'drizzle-orm';
import type { AttemptRow, PushAttempt, Pushed, PushResult } from '../domain/push.ts';
import { anyOf, type Db } from './client.ts';
import type { RowOf } from './jobs.ts';

/**
 * Puts pushes on record before they are sent (outcome `unknown` until the answer is in) and returns
 * the ids of those that may not be sent, few or none. In the nearby lane that is decided here, once for
 * ever: a driver's first pushes of a wave may, or one that takes the place of an attempt that failed. Of
 * two runs of a task one gets them.
 */
export async function recordAttempts(
  db: Db,
  { jobId, wave, app, lane, kind, notificationId }: Pushed,
  attempts: readonly PushAttempt[],
): Promise<Set<string>> {
  if (attempts.length === 0) return new Set();
  const rows = await db.execute<{ id: string }>(sql`
    with a as (
      select * from jsonb_to_recordset(${JSON.stringify(attempts)}::text::jsonb)
        as r("apnsId" text, "userId" text, "tokenSuffix" text, "resendOf" text)),
    marked as (
      insert into push_marks (job_id, wave, driver_id)
      select distinct ${jobId}::text, ${wave}::int, "userId" from a
      where ${lane === 'nearby'}::boolean and "resendOf" is null order by "userId"
      on conflict do nothing returning driver_id),
    taken as (
      update push_attempts p set resent = true from a
      where p.apns_id = a."resendOf" and not p.resent returning p.apns_id),
    mine as (
      insert into push_attempts (apns_id, job_id, wave, user_id, app, lane, kind, notification_id,
        token_suffix)
      select "apnsId", ${jobId}::text, ${wave}::int, "userId", ${app}::text, ${lane}::text,
        ${kind}::text, ${notificationId}::text, "tokenSuffix"
      from a
      where ${lane !== 'nearby'}::boolean or "resendOf" in (select apns_id from taken)
        or "userId" in (select driver_id from marked)
      returning apns_id)
    select "apnsId" as id from a where "apnsId" not in (select apns_id from mine)`);
  return new Set(rows.map((row) => row.id));
}

/** What became of attempts; may be said twice. */
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

const ATTEMPT_COLUMNS = sql.raw(`
  apns_id as "apnsId", apns_unique_id as "apnsUniqueId", job_id as "jobId", wave,
  user_id as "userId", app, lane, kind, notification_id as "notificationId", token_suffix as "tokenSuffix", outcome, status, reason,
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
