/**
 * Drops what is old in small batches: each is one statement that looks its rows up by indexes and locks
 * nothing that a call would wait for. Whole partitions would be cheaper to drop, but the role that a
 * deployment runs as owns no tables.
 */

import type { Db } from './client.ts';
import { type SQL, sql } from './drizzle.ts';
import { OVER_SQL } from './jobs.ts';

/** All tables that keep something of a job, by its id. */
const OF_JOBS = [
  'job_events',
  'job_waves',
  'job_refusals',
  'deliveries',
  'push_windows',
  'job_deliveries',
  'notifications',
  'push_attempts',
  'push_marks',
] as const;

/** How many rows of each table were dropped. */
export type Dropped = Record<string, number>;

/**
 * Drops the jobs that have been over longest, and longer than `days`, with all that is kept of them. A job
 * not yet folded into its drivers' counters is left for later. `jobs` tells whether there are more.
 */
export async function dropJobs(db: Db, days: number, limit: number): Promise<Dropped> {
  const parts = OF_JOBS.map(
    (table) => sql`${sql.raw(table)}_gone as (
      delete from ${sql.raw(table)} where job_id = any(array(select id from old)) returning 1)`,
  );
  const counts = [...OF_JOBS, 'notification_pushes', 'jobs'].map((table) =>
    sql.raw(`(select count(*)::int from ${table}_gone) as ${table}`),
  );
  const [row] = await db.execute<Dropped>(sql`
    with old as materialized (
      select id from jobs
      where status in ${OVER_SQL} and folded
        and updated_at < now() - make_interval(days => ${days}::int)
      order by updated_at limit ${limit}::int for update skip locked),
    ${sql.join(parts, sql`, `)},
    notification_pushes_gone as (
      delete from notification_pushes where notification_id = any(array(
        select id from notifications where job_id = any(array(select id from old)))) returning 1),
    jobs_gone as (delete from jobs where id = any(array(select id from old)) returning 1)
    select ${sql.join(counts, sql`, `)}`);
  return row ?? {};
}

/** Tables whose rows age by themselves: how many days they are kept, and which column has their time. */
const AGED = {
  /** Contract section 11. */
  driver_positions: { column: 'at', days: 7 },
  /** Counters cover 30 days; today is the first of them. */
  driver_days: { column: 'day', days: 31 },
  job_days: { column: 'day', days: 31 },
  /** As long as the waves that they explain. */
  driver_events: { column: 'at', days: null },
} as const;
export const AGED_TABLES = Object.keys(AGED) as (keyof typeof AGED)[];

/** Drops up to `limit` rows of a table that are too old. Returns how many. */
export async function dropAged(
  db: Db,
  table: keyof typeof AGED,
  retentionDays: number,
  limit: number,
): Promise<number> {
  const { column, days } = AGED[table];
  const [row] = await db.execute<{ count: number }>(sql`
    with gone as (
      delete from ${sql.raw(table)} where ctid = any(array(
        select ctid from ${sql.raw(table)}
        where ${sql.raw(column)} < ${ageLimit(days ?? retentionDays)} limit ${limit}::int))
      returning 1)
    select count(*)::int as count from gone`);
  return row?.count ?? 0;
}

function ageLimit(days: number): SQL {
  return sql`(now() at time zone 'utc' - make_interval(days => ${days}::int)) at time zone 'utc'`;
}
