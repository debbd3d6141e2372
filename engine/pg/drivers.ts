/**
 * Drivers in Postgres: who they are, whether they may work, where they were last seen.
 * Every change that decides what a driver is offered raises `rev`, which orders what Redis takes.
 */

import type { Actor, DriverCard } from '../domain/job.ts';
import type { Refusal } from '../domain/visibility.ts';
import { anyOf, type Db } from './client.ts';
import { insertSilence } from './driver-history.ts';
import { sql } from './drizzle.ts';
import { HELD_SQL, type RowOf } from './jobs.ts';

export type ApprovalStatus = 'pending' | 'approved' | 'suspended';

/**
 * One row of `drivers` with the number of jobs he holds; times in epoch milliseconds, those ahead of
 * Postgres's clock as of now.
 */
export interface DriverRow {
  id: string;
  name: string | null;
  truckType: string | null;
  approvalStatus: ApprovalStatus;
  isOperator: boolean;
  online: boolean;
  rev: number;
  syncedRev: number;
  lat: number | null;
  lng: number | null;
  positionAt: number | null;
  /** Time since his last sign of life, ms, by the clock of Postgres, which wrote it. */
  seenAgeMs: number | null;
  totalJobs: number;
  activeJobs: number;
}

/** The columns of a `DriverRow`, from a table or CTE called `d`. */
export const DRIVER_COLUMNS = sql`
  d.id, d.name, d.truck_type as "truckType", d.approval_status as "approvalStatus",
  d.is_operator as "isOperator", d.online, d.rev::float8 as rev,
  d.synced_rev::float8 as "syncedRev", d.lat, d.lng,
  floor(extract(epoch from least(d.position_at, now())) * 1000)::float8 as "positionAt",
  floor(extract(epoch from greatest(now() - d.seen_at, interval '0')) * 1000)::float8
    as "seenAgeMs", d.total_jobs as "totalJobs",
  (select count(*)::int from jobs held where held.driver_id = d.id
    and held.status in ${HELD_SQL}) as "activeJobs"`;

/** What a PUT may set; fields left out keep their values. */
export interface DriverChange {
  name?: string;
  truckType?: string | null;
  approvalStatus?: ApprovalStatus;
  isOperator?: boolean;
  /** Who changes him, and why, for the record; by default Muster itself. */
  by?: Actor;
  reason?: string;
}

export async function findDriver(db: Db, id: string): Promise<DriverRow | null> {
  const [row] = await db.execute<RowOf<DriverRow>>(
    sql`select ${DRIVER_COLUMNS} from drivers d where d.id = ${id}`,
  );
  return row ?? null;
}

/** The rows of these drivers, as far as they exist, in no order. */
export async function findDrivers(db: Db, ids: readonly string[]): Promise<DriverRow[]> {
  return db.execute<RowOf<DriverRow>>(sql`
    select ${DRIVER_COLUMNS} from drivers d where d.id = ${anyOf(ids)}`);
}

export async function markSynced(db: Db, id: string, rev: number): Promise<void> {
  await db.execute(sql`
    update drivers set synced_rev = ${rev}::bigint where id = ${id} and synced_rev < ${rev}::bigint`);
}

/** Drivers whose change did not reach Redis for a while. */
export async function listUnsynced(db: Db, olderThanMs: number, limit: number): Promise<string[]> {
  const rows = await db.execute<{ id: string }>(sql`
    select id from drivers
    where synced_rev < rev and updated_at < now() - make_interval(secs => ${olderThanMs}::float8 / 1000)
    limit ${limit}::int`);
  return rows.map((row) => row.id);
}

/**
 * Raises the revs of these drivers above the given ones where they are not yet, and returns the drivers it
 * raised. Rows are locked in one order.
 */
export async function raiseRevs(
  db: Db,
  floors: readonly { id: string; above: number }[],
): Promise<string[]> {
  const rows = await db.execute<{ id: string }>(sql`
    update drivers set rev = behind.above + 1, updated_at = now()
    from (
      select d.id, floor.above::bigint as above
      from jsonb_to_recordset(${JSON.stringify(floors)}::text::jsonb) as floor(id text, above float8)
      join drivers d on d.id = floor.id
      where d.rev <= floor.above::bigint order by d.id for update of d) behind
    where drivers.id = behind.id returning drivers.id`);
  return rows.map(({ id }) => id);
}

/**
 * Drivers after `afterId` in id order, a page: what a rebuild of Redis walks through. `onlyAtWork`: those
 * who may be at work, online or with a job in hand.
 */
export async function listDrivers(
  db: Db,
  page: { afterId: string; onlyAtWork: boolean; limit: number },
): Promise<DriverRow[]> {
  return db.execute<RowOf<DriverRow>>(sql`
    select ${DRIVER_COLUMNS} from drivers d
    where d.id > ${page.afterId} and (not ${page.onlyAtWork}::boolean or d.online or d.id in (
      select driver_id from jobs where status in ${HELD_SQL}))
    order by d.id limit ${page.limit}::int`);
}

/** A driver's last position, to be kept in Postgres. */
export interface LastSeen {
  id: string;
  lat: number | null;
  lng: number | null;
  /** Epoch ms of the fix. */
  at: number | null;
  /** Since his last sign of life, ms. */
  seenAgeMs: number;
}

/**
 * Stores the newest positions of many drivers at once; an older fix never overwrites, and no time is ahead
 * of now. A silence before it longer than `staleMs` is recorded. Rows are locked in one order: a driver
 * who moves from one process to another is in the batches of both.
 */
export async function saveLastSeen(
  db: Db,
  batch: readonly LastSeen[],
  staleMs: number,
): Promise<void> {
  await db.execute(sql`
    with d as (update drivers d set
      lat = case when newer then f.lat else d.lat end,
      lng = case when newer then f.lng else d.lng end,
      position_at = case when newer then f.taken_at else d.position_at end,
      seen_at = greatest(least(d.seen_at, now()),
        now() - make_interval(secs => f."seenAgeMs" / 1000))
    from (
      select f.*, least(old.seen_at, now()) as was_seen_at, f.taken_at is not null
        and (old.position_at is null or old.position_at > now()
          or f.taken_at >= old.position_at) as newer
      from (
        -- Of null and a time, least() is the time: a sign of life without a fix says nothing of where.
        select *, case when at is not null then least(to_timestamp(at / 1000), now()) end as taken_at
        from jsonb_to_recordset(${JSON.stringify(batch)}::text::jsonb)
          as r(id text, lat float8, lng float8, at float8, "seenAgeMs" float8)) f
      join drivers old on old.id = f.id
      order by old.id for update of old) f
    where d.id = f.id
    returning d.id, d.online, f.was_seen_at, d.seen_at)
    ${insertSilence(sql`select * from d`, staleMs)}`);
}

/** The cards of drivers that customers see, by id; ratings do not exist yet. */
export async function driverCards(
  db: Db,
  ids: readonly string[],
): Promise<Map<string, DriverCard>> {
  if (ids.length === 0) return new Map();
  const rows = await db.execute<RowOf<DriverCard>>(sql`
    select id, name, truck_type, null::float8 as avg_rating, total_jobs from drivers
    where id = ${anyOf(ids)}`);
  return new Map(rows.map((row) => [row.id, row]));
}

/** Which drivers must not see which open jobs again. */
export async function listRefusals(
  db: Db,
  jobIds: readonly string[],
): Promise<{ jobId: string; driverId: string; kind: Refusal }[]> {
  return db.execute<{ jobId: string; driverId: string; kind: Refusal }>(sql`
    select job_id as "jobId", driver_id as "driverId", kind from job_refusals
    where job_id = ${anyOf(jobIds)}`);
}

/** Did he give this job back? An operator who assigns it to him again forgives it. */
export async function hasReleased(db: Db, jobId: string, driverId: string): Promise<boolean> {
  const rows = await db.execute(sql`
    select 1 from job_refusals
    where job_id = ${jobId} and driver_id = ${driverId} and kind = 'released'`);
  return rows.length > 0;
}

/** A decline never replaces a release: a driver who gave a job back stays barred from it. */
export async function insertDecline(
  db: Db,
  jobId: string,
  driverId: string,
  reason: string | null,
): Promise<void> {
  await db.execute(sql`
    insert into job_refusals (job_id, driver_id, kind, reason)
    values (${jobId}, ${driverId}, 'declined', ${reason}) on conflict do nothing`);
}
