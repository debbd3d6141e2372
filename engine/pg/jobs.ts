/**
 * Jobs in Postgres: the only place where versions are minted. Every change is one fenced
 * statement on (version, status) that writes the row, its event and its notifications together.
 */
import { type SQL, sql } from 'drizzle-orm';
import { CLAIMABLE, HELD, type JobRow, type JobStatus, OVER } from '../domain/job.ts';
import type { Notice } from '../domain/notices.ts';
import type { Refusal } from '../domain/visibility.ts';
import { anyOf, type Db } from './client.ts';

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

/** Who did it, for the timeline: a user with his role, or Muster itself. */
export type Actor = `${'driver' | 'customer' | 'operator' | 'service'}:${string}` | 'muster';

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
  const rows = await db.execute<RowOf<JobRow>>(sql`
    with j as (
      insert into jobs (id, zone, customer_id, address, lat, lng, total_price, truck_type, notes,
        radius_km, next_wave_at, expires_at)
      values (${job.id}, ${job.zone}, ${job.customerId}, ${job.address}, ${job.lat}::float8,
        ${job.lng}::float8, ${job.totalPrice}::float8::numeric, ${job.truckType}, ${job.notes},
        ${job.radiusKm}::float8, now() + make_interval(secs => ${job.nextWaveS}::float8),
        ${job.expiresAt}::timestamptz)
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
  return one(rows);
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

/** A customer's jobs that still go on, for the snapshot of his feed. */
export async function listActiveJobs(db: Db, customerId: string): Promise<JobRow[]> {
  return db.execute<RowOf<JobRow>>(sql`
    select ${JOB_COLUMNS} from jobs j
    where j.customer_id = ${customerId} and j.status in ${ALIVE_SQL}
    order by j.created_at desc, j.id desc`);
}

/** The ids of all open jobs of a zone: what a rebuild puts into Redis. */
export async function listOpenJobs(db: Db, zone: string): Promise<string[]> {
  const rows = await db.execute<{ id: string }>(
    sql`select id from jobs where zone = ${zone} and status in ${CLAIMABLE_SQL}`,
  );
  return rows.map((row) => row.id);
}

/** A change of a job: what it becomes, why, and who is told. */
export interface Transition {
  from: JobRow;
  status: JobStatus;
  /** The event's name in the timeline. */
  event: string;
  actor: Actor;
  reason?: string | null;
  driverId?: string | null;
  /** Columns that change besides. */
  set?: SQL;
  /** Whom the event is about, where it is not the job's new driver. */
  eventDriverId?: string | null;
  notices?: readonly Notice[];
  /** A new wave to be dispatched, opened with this change. */
  wave?: { wave: number; step: number; radiusKm: number; nextWaveS: number | null };
  refusal?: { driverId: string; kind: Refusal };
  /** A driver whose earlier refusal of this job is over. */
  forgiven?: string;
  /** A driver whose number of jobs decides what he is offered, and who has one less: his rev moves. */
  freed?: string | null;
  /** A driver who has done one more job. */
  completedBy?: string;
}

/**
 * Applies the change if nobody was faster: fenced on (version, status).
 * Returns the new row, or null when the row has moved on; then read it again.
 */
export async function transitionJob(db: Db, t: Transition): Promise<JobRow | null> {
  const driverId = t.driverId === undefined ? t.from.driverId : t.driverId;
  const wave = t.wave;
  const rows = await db.execute<RowOf<JobRow>>(sql`
    with j as (
      update jobs set status = ${t.status}, version = version + 1, driver_id = ${driverId},
        updated_at = now()${t.set ? sql`, ${t.set}` : sql``}
        ${
          wave
            ? sql`, wave = ${wave.wave}::int, wave_step = ${wave.step}::int,
                radius_km = ${wave.radiusKm}::float8,
                next_wave_at = now() + make_interval(secs => ${wave.nextWaveS}::float8)`
            : sql``
        }
      where id = ${t.from.id} and version = ${t.from.version}::int and status = ${t.from.status}
      returning *),
    event as (
      insert into job_events (job_id, type, version, status, driver_id, actor, reason)
      select id, ${t.event}, version, status,
        ${t.eventDriverId === undefined ? driverId : t.eventDriverId}, ${t.actor},
        ${t.reason ?? null}
      from j),
    wave as (
      insert into job_waves (job_id, wave, radius_km) select id, wave, radius_km from j
      where ${wave !== undefined}::boolean on conflict do nothing),
    refusal as (
      insert into job_refusals (job_id, driver_id, kind, reason)
      select id, ${t.refusal?.driverId ?? ''}, ${t.refusal?.kind ?? ''}, ${t.reason ?? null}
      from j where ${t.refusal !== undefined}::boolean
      on conflict (job_id, driver_id) do update set kind = excluded.kind, reason = excluded.reason),
    forgiven as (
      delete from job_refusals
      where job_id in (select id from j) and driver_id = ${t.forgiven ?? null}),
    worked as (
      update drivers set rev = rev + ${t.freed ? 1 : 0}::int,
        total_jobs = total_jobs + ${t.completedBy === undefined ? 0 : 1}::int
      where id = ${t.freed ?? t.completedBy ?? null} and exists (select from j)),
    note as (${insertNotices(t.notices ?? [])})
    select ${JOB_COLUMNS} from j`);
  return rows[0] ?? null;
}

/** The insert of notifications for the one row of the CTE `j`. */
function insertNotices(notices: readonly Notice[]): SQL {
  const json = JSON.stringify(notices);
  return sql`
    insert into notifications (user_id, app, job_id, version, type, title, body, data)
    select n."userId", n.app, j.id, j.version, n.type, n.title, n.body,
      jsonb_build_object('job_id', j.id, 'type', 'job_update', 'version', j.version)
    from j, jsonb_to_recordset(${json}::text::jsonb)
      as n("userId" text, app text, type text, title text, body text)
    on conflict do nothing`;
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

/** What `db.execute` wants of a row type. */
export type RowOf<T> = T & Record<string, unknown>;

/** The only row of a statement that always returns one. */
export function one<T>(rows: readonly T[]): T {
  const [row] = rows;
  if (row === undefined) throw new Error('a statement that always returns a row returned none');
  return row;
}
