/** The records of a job's offers in Postgres: read by `explain` alone. */
import type { Position } from '../domain/distance.ts';
import type { Refusal } from '../domain/visibility.ts';
import { anyOf, type Db } from './client.ts';
import { sql } from './drizzle.ts';
import type { RowOf } from './jobs.ts';
import type { Candidate } from './waves.ts';

export interface WaveRow {
  wave: number;
  radiusKm: number;
  /** RFC 3339; so are all times here. */
  openedAt: string;
  /** The same to the microsecond: what happened in the same statement came before it. */
  moment: string;
  /** Null while the candidates are not chosen. */
  chosenAt: string | null;
  candidateCount: number;
  /** Nearest first, up to the push cap. */
  candidates: Candidate[];
}

/** RFC 3339 UTC, as `toTime` writes it. */
const timeOf = (column: string, fraction = 'MS') =>
  sql.raw(`to_char((${column}) at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.${fraction}"Z"')`);

/** A job's waves in order, with their candidates. */
export async function listWaves(db: Db, jobId: string): Promise<WaveRow[]> {
  return db.execute<RowOf<WaveRow>>(sql`
    select wave, radius_km as "radiusKm", ${timeOf('opened_at')} as "openedAt",
      ${timeOf('opened_at', 'US')} as moment,
      ${timeOf('chosen_at')} as "chosenAt", candidate_count as "candidateCount",
      (select coalesce(jsonb_agg(jsonb_build_object('driverId', c.id, 'km', c.km) order by c.n), '[]')
        from unnest(candidate_ids, candidate_km) with ordinality c(id, km, n)) as candidates
    from job_waves where job_id = ${jobId} order by wave`);
}

/** When each driver's socket was first given the job. */
export async function firstDeliveries(db: Db, jobId: string): Promise<Map<string, string>> {
  const rows = await db.execute<{ id: string; at: string }>(sql`
    select id, ${timeOf('min(given.at)')} as at from (
      select driver.id, d.at + driver.after_ms * interval '1 millisecond' as at
      from deliveries d, unnest(d.driver_ids, d.after_ms) driver(id, after_ms)
      where d.job_id = ${jobId}
      union all
      select driver.id, d.at from job_deliveries d, unnest(d.driver_ids) driver(id)
      where d.job_id = ${jobId}) given
    group by id order by min(given.at)`);
  return new Map(rows.map(({ id, at }) => [id, at]));
}

export interface RefusalRow {
  driverId: string;
  kind: Refusal;
  reason: string | null;
  at: string;
}

/** Drivers who declined a job or gave it back. */
export async function refusalsOf(db: Db, jobId: string): Promise<RefusalRow[]> {
  return db.execute<RowOf<RefusalRow>>(sql`
    select driver_id as "driverId", kind, reason, ${timeOf('at')} as at from job_refusals
    where job_id = ${jobId} order by at, driver_id`);
}

/**
 * Drivers: first these, then the others by their last position, nearest first, then those without one,
 * last heard from first; for a job without a position all count as without one. Reads every driver: for
 * a person who asks, not for dispatch.
 */
export async function listNearest(
  db: Db,
  to: Position | null,
  limit: number,
  first: readonly string[],
): Promise<string[]> {
  const rows = await db.execute<{ id: string }>(sql`
    select id from drivers
    order by id = ${anyOf(first)} desc, power(sin(radians(lat - ${to?.lat ?? null}::float8) / 2), 2)
        + cos(radians(lat)) * cos(radians(${to?.lat ?? null}::float8))
        * power(sin(radians(lng - ${to?.lng ?? null}::float8) / 2), 2) nulls last,
      seen_at desc nulls last, id
    limit ${limit}::int`);
  return rows.map(({ id }) => id);
}
