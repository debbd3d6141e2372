/**
 * Claims in Postgres: a claim is won when its fenced UPDATE has committed, and not before.
 * A batch is one statement; a single run waits for locks; a fence ends what may still be under way.
 */
import { type SQL, sql } from 'drizzle-orm';
import type { JobRow } from '../domain/job.ts';
import { anyOf, type Db } from './client.ts';
import { CLAIMABLE_SQL, HELD_SQL, JOB_COLUMNS, type RowOf } from './jobs.ts';

/** A tap that passed the gate in Redis, with the version the gate saw. */
export interface ClaimIntent {
  jobId: string;
  version: number;
  driverId: string;
}

/**
 * Commits those intents whose row is still claimable at the version the gate saw, by an approved
 * driver who did not release it before; with event and the customer's notification.
 * Rows that somebody has locked are skipped (`wait: false`) or waited for; each is looked up by its
 * id alone (`offset 0` keeps the conditions out), since a plan that begins with what is open reads
 * every open job. Driver and refusal are subqueries, not joins, which may be planned to compare each
 * tap with each driver.
 * Returns the rows that were won; what became of the others is to be read from their rows.
 *
 * With a job limit the first statement of a transaction locks the batch's drivers in id order and
 * the second counts: a lock inside the same statement would see too old a snapshot. A driver whom
 * somebody has locked is skipped or waited for like a row.
 */
export async function commitClaims(
  db: Db,
  intents: readonly ClaimIntent[],
  options: { wait: boolean; maxActiveJobs: number },
): Promise<JobRow[]> {
  if (options.maxActiveJobs === 0) {
    return db.execute<RowOf<JobRow>>(claimStatement(intents, options));
  }
  return db.transaction(async (tx) => {
    const ids = [...new Set(intents.map((i) => i.driverId))];
    const locked = await tx.execute<{ id: string }>(sql`
      select id from drivers where id = ${anyOf(ids)}
      order by id for update ${options.wait ? sql`` : sql`skip locked`}`);
    const mine = new Set(locked.map((driver) => driver.id));
    const free = intents.filter((intent) => mine.has(intent.driverId));
    return tx.execute<RowOf<JobRow>>(claimStatement(free, options));
  });
}

function claimStatement(
  intents: readonly ClaimIntent[],
  { wait, maxActiveJobs }: { wait: boolean; maxActiveJobs: number },
): SQL {
  return sql`
    with tap as (
      select * from jsonb_to_recordset(${JSON.stringify(intents)}::text::jsonb)
        as t("jobId" text, version int, "driverId" text)),
    free as (
      select job.id, tap."driverId" as driver_id
      from tap
      cross join lateral (
        select * from jobs where id = tap."jobId" offset 0
        for update ${wait ? sql`` : sql`skip locked`}
      ) job
      where job.version = tap.version and job.status in ${CLAIMABLE_SQL}
        and (job.expires_at is null or job.expires_at > now())
        and (job.status <> 'assigned' or job.driver_id = tap."driverId")
        and (select approval_status from drivers where id = tap."driverId") = 'approved'
        and (select kind from job_refusals
          where job_id = tap."jobId" and driver_id = tap."driverId") is distinct from 'released'
        ${maxActiveJobs > 0 ? sql`and ${belowLimit(maxActiveJobs)}` : sql``}),
    j as (
      update jobs job set status = 'accepted', driver_id = free.driver_id,
        version = job.version + 1, accepted_at = now(), updated_at = now(), next_wave_at = null
      from free where job.id = free.id
      returning job.*),
    event as (
      insert into job_events (job_id, type, version, status, driver_id, actor)
      select id, 'job.accepted', version, status, driver_id, 'driver:' || driver_id from j),
    busy as (${maxActiveJobs > 0 ? bumpDrivers() : sql`select`}),
    note as (
      insert into notifications (user_id, app, job_id, version, type, title, body, data)
      select customer_id, 'customer', id, version, 'driver_assigned', 'Driver Assigned',
        'A driver has accepted your job!',
        jsonb_build_object('job_id', id, 'type', 'job_update', 'version', version)
      from j on conflict do nothing)
    select ${JOB_COLUMNS} from j`;
}

/** Few enough jobs in hand; a batch holds at most one claim per driver, so counting rows is enough. */
function belowLimit(maxActiveJobs: number): SQL {
  return sql`(select count(*) from jobs held where held.driver_id = tap."driverId"
    and held.status in ${HELD_SQL}) < ${maxActiveJobs}::int`;
}

/** With a job limit, what a driver holds decides what he is offered: his rev moves. */
function bumpDrivers(): SQL {
  return sql`update drivers set rev = rev + 1 where id in (select driver_id from j)`;
}

/**
 * Ends an attempt whose outcome is unknown: waits for a commit in flight and shuts out a late one.
 * Returns the row under its new version when it still had the one that the gate saw open, else null:
 * then the row itself says who holds the job.
 */
export async function fenceJob(db: Db, id: string, version: number): Promise<JobRow | null> {
  const [row] = await db.execute<RowOf<JobRow>>(sql`
    with j as (
      update jobs set version = version + 1, updated_at = now()
      where id = ${id} and version = ${version}::int
      returning *)
    select ${JOB_COLUMNS} from j`);
  return row ?? null;
}

/**
 * Why a claimable job cannot be taken by this driver right now; null when nothing is in the way, or the
 * job is not claimable any more.
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
