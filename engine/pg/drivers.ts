/**
 * Drivers in Postgres: who they are, whether they may work, where they were last seen.
 * Every change that decides what a driver is offered bumps `rev`; what Redis knows follows it.
 */
import { sql } from 'drizzle-orm';
import type { DriverCard } from '../domain/job.ts';
import type { Refusal } from '../domain/visibility.ts';
import { anyOf, type Db } from './client.ts';
import { one, type RowOf } from './jobs.ts';

export type ApprovalStatus = 'pending' | 'approved' | 'suspended';

/**
 * One row of `drivers` with the number of jobs he holds; times in epoch milliseconds, those from ahead of
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
  /** Since his last sign of life, ms, by the clock of Postgres, which wrote it. */
  seenAgeMs: number | null;
  totalJobs: number;
  activeJobs: number;
}

const DRIVER_COLUMNS = sql.raw(`
  d.id, d.name, d.truck_type as "truckType", d.approval_status as "approvalStatus",
  d.is_operator as "isOperator", d.online, d.rev::float8 as rev,
  d.synced_rev::float8 as "syncedRev", d.lat, d.lng,
  floor(extract(epoch from least(d.position_at, now())) * 1000)::float8 as "positionAt",
  floor(extract(epoch from greatest(now() - d.seen_at, interval '0')) * 1000)::float8
    as "seenAgeMs", d.total_jobs as "totalJobs",
  (select count(*)::int from jobs held where held.driver_id = d.id
    and held.status in ('accepted', 'en_route', 'arrived', 'started')) as "activeJobs"`);

/** What a PUT may set; fields left out keep their values. */
export interface DriverChange {
  name?: string;
  truckType?: string | null;
  approvalStatus?: ApprovalStatus;
  isOperator?: boolean;
}

export async function findDriver(db: Db, id: string): Promise<DriverRow | null> {
  const [row] = await db.execute<RowOf<DriverRow>>(
    sql`select ${DRIVER_COLUMNS} from drivers d where d.id = ${id}`,
  );
  return row ?? null;
}

/** The rows of those of these drivers who exist, in no order. */
export async function findDrivers(db: Db, ids: readonly string[]): Promise<DriverRow[]> {
  return db.execute<RowOf<DriverRow>>(sql`
    select ${DRIVER_COLUMNS} from drivers d where d.id = ${anyOf(ids)}`);
}

/** Creates the driver (as `pending`) or changes the given fields. */
export async function upsertDriver(db: Db, id: string, change: DriverChange): Promise<DriverRow> {
  const truckGiven = change.truckType !== undefined;
  const rows = await db.execute<RowOf<DriverRow>>(sql`
    with d as (
      insert into drivers as old (id, name, truck_type, approval_status, is_operator)
      values (${id}, ${change.name ?? null}, ${change.truckType ?? null},
        ${change.approvalStatus ?? 'pending'}, ${change.isOperator ?? false}::boolean)
      on conflict (id) do update set
        name = coalesce(${change.name ?? null}, old.name),
        truck_type = case when ${truckGiven}::boolean then ${change.truckType ?? null}
          else old.truck_type end,
        approval_status = coalesce(${change.approvalStatus ?? null}, old.approval_status),
        is_operator = coalesce(${change.isOperator ?? null}::boolean, old.is_operator),
        rev = old.rev + 1, updated_at = now()
      returning *)
    select ${DRIVER_COLUMNS} from d`);
  return one(rows);
}

/** Returns null when there is no such driver. */
export async function setOnline(db: Db, id: string, online: boolean): Promise<DriverRow | null> {
  const [row] = await db.execute<RowOf<DriverRow>>(sql`
    with d as (
      update drivers set online = ${online}::boolean, rev = rev + 1, updated_at = now(),
        seen_at = now()
      where id = ${id} returning *)
    select ${DRIVER_COLUMNS} from d`);
  return row ?? null;
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
      select driver_id from jobs where status in ('accepted', 'en_route', 'arrived', 'started')))
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
 * Stores the newest positions of many drivers at once; an older fix never overwrites, and none is from
 * ahead of now. Rows are locked in one order: a driver on his way from one process to another is in the
 * batches of both.
 */
export async function saveLastSeen(db: Db, batch: readonly LastSeen[]): Promise<void> {
  await db.execute(sql`
    update drivers d set
      lat = case when newer then f.lat else d.lat end,
      lng = case when newer then f.lng else d.lng end,
      position_at = case when newer then f.taken_at else d.position_at end,
      seen_at = greatest(least(d.seen_at, now()),
        now() - make_interval(secs => f."seenAgeMs" / 1000))
    from (
      select f.*, f.taken_at is not null and (old.position_at is null
        or old.position_at > now() or f.taken_at >= old.position_at) as newer
      from (
        select *, least(to_timestamp(at / 1000), now()) as taken_at
        from jsonb_to_recordset(${JSON.stringify(batch)}::text::jsonb)
          as r(id text, lat float8, lng float8, at float8, "seenAgeMs" float8)) f
      join drivers old on old.id = f.id
      order by old.id for update of old) f
    where d.id = f.id`);
}

/** The cards that customers see of drivers, by id; ratings do not exist yet. */
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

/** Who must not see which open jobs again. */
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

/** A decline never replaces a release: who gave a job back stays barred from it. */
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

export interface DriverCounters {
  offered: number;
  delivered: number;
  accepted: number;
  declined: number;
  ignored: number;
  withdrawn: number;
  acceptance_rate: number | null;
}

/**
 * How a driver answered his offers of the last 30 days, each job counted once.
 * Only what reached him counts: an offer that was never delivered, or was withdrawn before he
 * answered (taken by another, reserved for another, cancelled), does not hurt his acceptance rate; `ignored` are those
 * that expired unanswered. Who declined a job and took it after all has accepted it.
 */
export async function driverCounters(db: Db, id: string): Promise<DriverCounters> {
  const [row] = await db.execute<Omit<DriverCounters, 'acceptance_rate'>>(sql`
    with offered as (
      select distinct job_id from job_waves
      where candidate_ids @> array[${id}]::text[] and opened_at > now() - interval '30 days'),
    delivered as (
      select job_id from deliveries
      where driver_ids @> array[${id}]::text[] and at > now() - interval '30 days'
      union
      select job_id from job_deliveries
      where driver_ids @> array[${id}]::text[] and at > now() - interval '30 days'
      union
      select job_id from offered where exists (
        -- "offset 0": looked up for each job; all pushes there are would be read otherwise.
        select from (select * from pushes p where p.job_id = offered.job_id offset 0) p
        where p.user_id = ${id} and p.lane = 'nearby' and p.outcome = 'sent')),
    accepted as (
      select distinct job_id from job_events
      where job_id in (select id from jobs where driver_id = ${id}
          union select job_id from job_refusals where driver_id = ${id} and kind = 'released')
        and type = 'job.accepted' and driver_id = ${id} and at > now() - interval '30 days'),
    declined as (
      select job_id from job_refusals
      where driver_id = ${id} and kind = 'declined' and at > now() - interval '30 days'
        and job_id not in (select job_id from accepted)),
    unanswered as (
      select case when j.status = 'expired' and exists (
          select from (
            select status, driver_id from job_events
            where job_id = j.id and type <> 'job.expired' order by id desc limit 1) last
          where last.status = 'assigned' and last.driver_id <> ${id})
        then 'reserved' else j.status end as status
      from delivered join jobs j on j.id = delivered.job_id
      where j.id not in (select job_id from accepted union select job_id from declined))
    select
      (select count(*)::int from (select job_id from offered union select job_id from delivered) o)
        as offered,
      (select count(*)::int from delivered) as delivered,
      (select count(*)::int from accepted) as accepted,
      (select count(*)::int from declined) as declined,
      (select count(*)::int from unanswered where status = 'expired') as ignored,
      (select count(*)::int from unanswered
        where status not in ('expired', 'pending', 'confirmed', 'assigned')) as withdrawn`);
  const counters = row ?? {
    offered: 0,
    delivered: 0,
    accepted: 0,
    declined: 0,
    ignored: 0,
    withdrawn: 0,
  };
  const answered = counters.accepted + counters.declined + counters.ignored;
  return {
    ...counters,
    acceptance_rate: answered === 0 ? null : counters.accepted / answered,
  };
}
