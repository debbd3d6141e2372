/** What a claim asks of Postgres besides its write: which taps may win, and why one may not. */

import { anyOf, type Db } from './client.ts';
import { type SQL, sql } from './drizzle.ts';
import { CLAIMABLE_SQL, HELD_SQL } from './jobs.ts';

/** A tap that passed the gate in Redis, with the version the gate saw. */
export interface ClaimIntent {
  jobId: string;
  version: number;
  driverId: string;
}

export interface ClaimRules {
  /** Whether to wait for locked rows or to skip them. */
  wait: boolean;
  /** 0: no limit. */
  maxActiveJobs: number;
}

/**
 * The rows that these intents may take, locked, each with its `claimant`: still claimable at the version that
 * the gate saw, by an approved driver who did not release it before and is below his job limit.
 * Each row is looked up by its id alone (`offset 0` keeps the conditions out), since a plan that starts from
 * open jobs reads every one of them. Driver and refusal are subqueries, not joins, which may be planned to
 * compare each tap with each driver.
 */
export function claimableBy(intents: readonly ClaimIntent[], rules: ClaimRules): SQL {
  return sql`
    select job.*, tap."driverId" as claimant
    from jsonb_to_recordset(${JSON.stringify(intents)}::text::jsonb)
      as tap("jobId" text, version int, "driverId" text)
    cross join lateral (
      select * from jobs where id = tap."jobId" offset 0
      for update ${rules.wait ? sql`` : sql`skip locked`}
    ) job
    where job.version = tap.version and job.status in ${CLAIMABLE_SQL}
      and (job.expires_at is null or job.expires_at > now())
      and (job.status <> 'assigned' or job.driver_id = tap."driverId")
      and (select approval_status from drivers where id = tap."driverId") = 'approved'
      and (select kind from job_refusals
        where job_id = tap."jobId" and driver_id = tap."driverId") is distinct from 'released'
      ${rules.maxActiveJobs > 0 ? sql`and ${belowLimit(rules.maxActiveJobs)}` : sql``}`;
}

/** Is he below his limit? A batch holds at most one claim per driver, so counting rows is enough. */
function belowLimit(maxActiveJobs: number): SQL {
  return sql`(select count(*) from jobs held where held.driver_id = tap."driverId"
    and held.status in ${HELD_SQL}) < ${maxActiveJobs}::int`;
}

/**
 * Locks drivers in id order until the transaction ends, and returns those that it got. With a job limit this
 * is the first statement of a claim's transaction, and the second one counts jobs: a lock within the same
 * statement would count in too old a snapshot.
 */
export async function lockDrivers(
  tx: Pick<Db, 'execute'>,
  ids: readonly string[],
  wait: boolean,
): Promise<Set<string>> {
  const locked = await tx.execute<{ id: string }>(sql`
    select id from drivers where id = ${anyOf(ids)}
    order by id for update ${wait ? sql`` : sql`skip locked`}`);
  return new Set(locked.map((driver) => driver.id));
}

/**
 * Why this driver cannot take a claimable job right now; null when nothing is in the way, or the job is no
 * longer claimable.
 */
export async function claimObstacle(
  db: Db,
  jobId: string,
  driverId: string,
  maxActiveJobs: number,
): Promise<'not_approved' | 'released' | 'reserved' | 'job_expired' | 'driver_busy' | null> {
  const [row] = await db.execute<{
    approved: boolean;
    released: boolean;
    reserved: boolean;
    expired: boolean;
    held: number;
  }>(sql`
    select
      exists (select from drivers where id = ${driverId} and approval_status = 'approved')
        as approved,
      exists (select from job_refusals
        where job_id = j.id and driver_id = ${driverId} and kind = 'released') as released,
      (j.status = 'assigned' and j.driver_id <> ${driverId}) as reserved,
      coalesce(j.expires_at <= now(), false) as expired,
      (select count(*)::int from jobs held
        where held.driver_id = ${driverId} and held.status in ${HELD_SQL}) as held
    from jobs j where j.id = ${jobId} and j.status in ${CLAIMABLE_SQL}`);
  if (!row) return null;
  if (!row.approved) return 'not_approved';
  if (row.expired) return 'job_expired';
  if (row.released) return 'released';
  if (row.reserved) return 'reserved';
  return maxActiveJobs > 0 && row.held >= maxActiveJobs ? 'driver_busy' : null;
}
