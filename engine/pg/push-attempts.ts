/** Push attempts, as the view `pushes` lists them. */
import type { AttemptRow } from '../domain/push.ts';
import { apnsIdsOf } from './apns-id.ts';
import type { Db } from './client.ts';
import { sql } from './drizzle.ts';
import type { RowOf } from './jobs.ts';

const COLUMNS = sql.raw(`
  job_id as "jobId", wave, user_id as "userId", app, lane, kind, notification_id as "notificationId",
  token_suffix as "tokenSuffix", outcome, status, reason, latency_ms as "latencyMs",
  apns_unique_id as "apnsUniqueId", apns_id as "apnsId", first_place as "firstPlace", number,
  floor(extract(epoch from at) * 1000)::float8 as at`);

/** Attempts of the version before this have an id of their own. */
type Listed = Omit<AttemptRow, 'apnsId'> & {
  apnsId: string | null;
  firstPlace: number;
  number: number;
};

/** The attempts of one notification, or all of one job, oldest first. */
export async function listAttempts(
  db: Db,
  of: { jobId: string } | { notificationId: string },
): Promise<AttemptRow[]> {
  const where =
    'jobId' in of ? sql`job_id = ${of.jobId}` : sql`notification_id = ${of.notificationId}`;
  const rows = await db.execute<RowOf<Listed>>(sql`
    select ${COLUMNS} from pushes where ${where} order by pushes.at, wave, first_place, number`);
  return rows.map(({ firstPlace, number, ...attempt }) => {
    const { jobId, wave, notificationId, apnsId } = attempt;
    const key = notificationId === null ? { jobId, wave, firstPlace } : { notificationId };
    return { ...attempt, apnsId: apnsId ?? apnsIdsOf(key)(number) };
  });
}

/** Attempts of a notification by the version before this, oldest first. */
export async function listAttemptsBefore(db: Db, notificationId: string): Promise<AttemptRow[]> {
  return db.execute<RowOf<AttemptRow>>(sql`
    select job_id as "jobId", wave, user_id as "userId", app, lane, kind,
      notification_id as "notificationId", token_suffix as "tokenSuffix", outcome, status, reason,
      latency_ms as "latencyMs", apns_unique_id as "apnsUniqueId", apns_id as "apnsId",
      floor(extract(epoch from at) * 1000)::float8 as at
    from push_attempts where notification_id = ${notificationId} order by id`);
}
