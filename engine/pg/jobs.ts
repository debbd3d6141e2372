/**
 * Jobs in Postgres: inserted and read here. They are changed by one fenced statement, `transition()`,
 * which writes the row, its event and its notifications together.
 */

import { type Actor, CLAIMABLE, HELD, type JobRow, type JobStatus, OVER } from '../domain/job.ts';
import { anyOf, type Db } from './client.ts';
import { sql } from './drizzle.ts';

/** Statuses in which a driver may still take a job, as SQL. */
const listOf = (statuses: readonly JobStatus[]) => sql.raw(`('${statuses.join("', '")}')`);
export const CLAIMABLE_SQL = listOf(CLAIMABLE);
export const HELD_SQL = listOf(HELD);
export const OVER_SQL = listOf(OVER);
const ALIVE_SQL = listOf([...CLAIMABLE, ...HELD]);

/** The columns of a `JobRow`, from a table or CTE called `j`; times in epoch milliseconds. */
export const JOB_COLUMNS = sql.raw(`
  j.id, j.zone, j.status, j.version, j.settled_version as "settledVersion",
  j.customer_id as "customerId", j.driver_id as "driverId", j.address, j.lat, j.lng,
  j.total_price::float8 as "totalPrice", j.truck_type as "truckType", j.notes, j.wave,
  j.wave_step as "waveStep", j.radius_km as "radiusKm",
  floor(extract(epoch from j.created_at) * 1000)::float8 as "createdAt",
  floor(extract(epoch from j.updated_at) * 1000)::float8 as "updatedAt",
  floor(extract(epoch from j.expires_at) * 1000)::float8 as "expiresAt",
  floor(extract(epoch from j.accepted_at) * 1000)::float8 as "acceptedAt"`);

export interface NewJob {
  id: string;
  zone: string;
  customerId: string;
  address: string;
  lat: number | null;
  lng: number | null;
  totalPrice: number;
  truckType: string | null;
  notes: string | null;
  radiusKm: number;
  nextWaveS: number | null;
  /** RFC 3339, or null: never. */
  expiresAt: string | null;
  idempotency: { sub: string; key: string; bodyHash: string } | null;
  actor: Actor;
}

/**
 * Inserts job, event, first wave and idempotency key in one statement.
 * Throws a unique violation when another call with the same key was faster.
 */
export async function insertJob(db: Db, job: NewJob): Promise<JobRow> {
  return one(await insertRows(db, job, false, 0));
}

/**
 * The same for a job that a customer posts himself. Null when he has `maxOpen` jobs open already (0: any
 * number), exactly so however many he posts at once.
 */
export async function insertOwnJob(db: Db, job: NewJob, maxOpen: number): Promise<JobRow | null> {
  const [row] = await insertRows(db, job, true, maxOpen);
  return row ?? null;
}

function insertRows(
  db: Db,
  job: NewJob,
  byCustomer: boolean,
  maxOpen: number,
): Promise<readonly JobRow[]> {
  return db.execute<RowOf<JobRow>>(sql`
    with j as (
      insert into jobs (id, zone, customer_id, address, lat, lng, total_price, truck_type, notes,
        radius_km, next_wave_at, expires_at, by_customer)
      select ${job.id}, ${job.zone}, ${job.customerId}, ${job.address}, ${job.lat}::float8,
        ${job.lng}::float8, ${job.totalPrice}::float8::numeric, ${job.truckType}, ${job.notes},
        ${job.radiusKm}::float8, now() + make_interval(secs => ${job.nextWaveS}::float8),
        ${job.expiresAt}::timestamptz, ${byCustomer}::boolean
      where case when ${maxOpen}::int = 0 then true
        else muster_count_open_jobs(${job.customerId}) < ${maxOpen}::int end
      returning *),
    event as (
      insert into job_events (job_id, type, version, status, actor)
      select id, 'job.posted', version, status, ${job.actor} from j),
    wave as (
      insert into job_waves (job_id, wave, radius_km) select id, wave, radius_km from j),
    key as (
      insert into idempotency_keys (sub, key, body_hash, job_id)
      select ${job.idempotency?.sub ?? null}, ${job.idempotency?.key ?? null},
        ${job.idempotency?.bodyHash ?? null}, id
      from j where ${job.idempotency !== null}::boolean)
    select ${JOB_COLUMNS} from j`);
}

export async function findJob(db: Db, id: string): Promise<JobRow | null> {
  const [row] = await db.execute<RowOf<JobRow>>(
    sql`select ${JOB_COLUMNS} from jobs j where j.id = ${id}`,
  );
  return row ?? null;
}

export async function findJobs(db: Db, ids: readonly string[]): Promise<JobRow[]> {
  return db.execute<RowOf<JobRow>>(sql`
    select ${JOB_COLUMNS} from jobs j
    where j.id = ${anyOf(ids)}`);
}

/** The ids of the jobs that a driver holds or that are reserved for him. */
export async function listHeldJobs(db: Db, driverId: string): Promise<string[]> {
  const rows = await db.execute<{ id: string }>(sql`
    select id from jobs
    where driver_id = ${driverId} and status in ${listOf([...HELD, 'assigned'])}`);
  return rows.map((row) => row.id);
}

/** A customer's jobs that are not over, for the snapshot of his feed. */
export async function listActiveJobs(db: Db, customerId: string): Promise<JobRow[]> {
  return db.execute<RowOf<JobRow>>(sql`
    select ${JOB_COLUMNS} from jobs j
    where j.customer_id = ${customerId} and j.status in ${ALIVE_SQL}
    order by j.created_at desc, j.id desc`);
}

/** A page of all jobs that are open or held, in the order of their ids. */
export async function listAliveJobs(db: Db, afterId: string, limit: number): Promise<JobRow[]> {
  return db.execute<RowOf<JobRow>>(sql`
    select ${JOB_COLUMNS} from jobs j
    where j.id > ${afterId} and (j.status in ${CLAIMABLE_SQL} or j.status in ${HELD_SQL})
    order by j.id limit ${limit}::int`);
}

/** The ids of all open jobs of a zone, which a rebuild puts into Redis. */
export async function listOpenJobs(db: Db, zone: string): Promise<string[]> {
  const rows = await db.execute<{ id: string }>(
    sql`select id from jobs where zone = ${zone} and status in ${CLAIMABLE_SQL}`,
  );
  return rows.map((row) => row.id);
}

/** One job's timeline, oldest first. */
export async function listEvents(db: Db, jobId: string): Promise<JobEventRow[]> {
  return db.execute<RowOf<JobEventRow>>(sql`
    select type, version, status, driver_id as "driverId", actor, reason,
      floor(extract(epoch from at) * 1000)::float8 as at
    from job_events where job_id = ${jobId} order by id`);
}

export interface JobEventRow {
  type: string;
  version: number;
  status: JobStatus;
  driverId: string | null;
  actor: string;
  reason: string | null;
  at: number;
}

/** The shape that `db.execute` requires of a row type. */
export type RowOf<T> = T & Record<string, unknown>;

/** The only row of a statement that always returns one. */
export function one<T>(rows: readonly T[]): T {
  const [row] = rows;
  if (row === undefined) throw new Error('a statement that always returns a row returned none');
  return row;
}
