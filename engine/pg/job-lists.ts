/**
 * Lists of jobs in Postgres. Each status asked for is read by itself, newest first and no further
 * than the page, and the results are merged: a customer's ten thousand completed jobs cost nothing
 * when he asks for his open ones.
 */

import { CLAIMABLE, HELD, JOB_STATUSES, type JobRow, type JobStatus, OVER } from '../domain/job.ts';
import type { Place } from '../lists/cursors.ts';
import type { Db } from './client.ts';
import { type SQL, sql } from './drizzle.ts';
import { JOB_COLUMNS, OVER_SQL, type RowOf } from './jobs.ts';
import { contains } from './text-search.ts';

export interface JobFilter {
  customerId?: string | undefined;
  driverId?: string | undefined;
  /** All of them when left out. */
  statuses?: readonly JobStatus[] | undefined;
  id?: string | undefined;
  /** Part of the address, in upper or lower case. */
  text?: string | undefined;
  /** Epoch ms; both are about the moment of the post, `until` excluded. */
  since?: number | undefined;
  until?: number | undefined;
}

export type ListedJob = JobRow & { place: string };

/**
 * A text is searched in all jobs that are not over and in this many of each status that is over: no
 * index knows parts of a text, and a call reads no history. Measured: 1 to 2 ms a thousand.
 */
export const SEARCHED_MAX = 1000;
/** For how many days jobs that are over are counted. */
const COUNTED_DAYS = 30;

const ALIVE = [...CLAIMABLE, ...HELD];
/** A place in a list by time, as exact as the column: microseconds. */
export const placeOf = (column: SQL) =>
  sql`(extract(epoch from ${column}) * 1000000)::bigint::text`;
/** The time of a place. */
export const timeAt = (place: string) =>
  sql`('epoch'::timestamptz + ${place}::bigint * interval '1 microsecond')`;

/** A page of the jobs after a place, newest or oldest first. */
export async function listJobs(
  db: Db,
  filter: JobFilter & { after: Place | null; oldestFirst?: boolean; limit: number },
): Promise<ListedJob[]> {
  const { after, limit, text } = filter;
  const [order, beyond] = filter.oldestFirst
    ? ([sql.raw('asc'), sql.raw('>')] as const)
    : ([sql.raw('desc'), sql.raw('<')] as const);
  const where = [sql`j.status = s.status`, ...conditionsOf(filter)];
  if (after) where.push(sql`(j.created_at, j.id) ${beyond} (${timeAt(after.at)}, ${after.id})`);
  const found =
    text === undefined
      ? sql`select * from jobs j where ${sql.join(where, sql` and `)}
          order by j.created_at ${order}, j.id ${order}`
      : sql`select * from (${latest([...conditionsOf(filter)])}) j
          where ${sql.join([...where, matches(text)], sql` and `)}
          order by j.created_at ${order}, j.id ${order}`;
  return db.execute<RowOf<ListedJob>>(sql`
    select ${JOB_COLUMNS}, ${placeOf(sql`j.created_at`)} as place
    from ${statusesOf(filter.statuses ?? JOB_STATUSES)}
      cross join lateral (${found} limit ${limit}::int) j
    order by j.created_at ${order}, j.id ${order} limit ${limit}::int`);
}

/**
 * How many jobs there are of each status, whatever statuses the filter names; jobs that are over count
 * for 30 days. Without a filter those are added up already, day by day.
 */
export async function countJobs(db: Db, filter: JobFilter): Promise<Record<JobStatus, number>> {
  const conditions = [...conditionsOf(filter)];
  const isFiltered = conditions.length > 0 || filter.text !== undefined;
  const [alive, over] = await Promise.all([
    countRows(db, filter, ALIVE, conditions),
    isFiltered
      ? countRows(db, filter, OVER, [...conditions, sql`j.created_at > now() - ${LATELY}`])
      : countOver(db),
  ]);
  const counts = Object.fromEntries(JOB_STATUSES.map((status) => [status, 0]));
  for (const { status, count } of [...alive, ...over]) counts[status] = count;
  return counts as Record<JobStatus, number>;
}

/** Those of one status that a text is looked for in. */
function latest(conditions: readonly SQL[]): SQL {
  const where = sql.join([sql`j.status = s.status`, ...conditions], sql` and `);
  return sql`select * from jobs j where ${where} order by j.created_at desc, j.id desc limit ${SEARCHED}`;
}

interface StatusCount extends Record<string, unknown> {
  status: JobStatus;
  count: number;
}

async function countRows(
  db: Db,
  { text }: JobFilter,
  statuses: readonly JobStatus[],
  conditions: readonly SQL[],
): Promise<StatusCount[]> {
  const where = sql.join([sql`j.status = s.status`, ...conditions], sql` and `);
  const count =
    text === undefined
      ? sql`select count(*)::int as count from jobs j where ${where}`
      : sql`select count(*)::int as count from (${latest(conditions)}) j where ${matches(text)}`;
  return db.execute<StatusCount>(sql`
    select s.status, counted.count from ${statusesOf(statuses)} cross join lateral (${count}) counted`);
}

/** The daily counts, plus jobs that are not folded into them yet. */
async function countOver(db: Db): Promise<StatusCount[]> {
  return db.execute<StatusCount>(sql`
    select status, sum(jobs)::int as count from (
      select status, jobs from job_days
      where day > (now() at time zone 'utc')::date - ${COUNTED_DAYS}::int
      union all
      select status, 1 from jobs where status in ${OVER_SQL} and not folded) over
    group by status`);
}

const LATELY = sql.raw(`interval '${COUNTED_DAYS} days'`);
const SEARCHED = sql.raw(
  `(case when s.status in ('${ALIVE.join("', '")}') then null else ${SEARCHED_MAX} end)`,
);

/** The statuses as a table, so that the statement is the same for any of them. */
function statusesOf(statuses: readonly JobStatus[]): SQL {
  return sql`jsonb_array_elements_text(${JSON.stringify(statuses)}::text::jsonb) s(status)`;
}

function matches(text: string): SQL {
  return sql`${contains(sql`j.address`, text)}`;
}

/** As a number: Postgres knows fewer offsets and years than a text may have. */
const momentOf = (ms: number) => sql`to_timestamp(${ms}::float8 / 1000)`;

function* conditionsOf(filter: JobFilter): Generator<SQL> {
  if (filter.id !== undefined) yield sql`j.id = ${filter.id}`;
  if (filter.customerId !== undefined) yield sql`j.customer_id = ${filter.customerId}`;
  if (filter.driverId !== undefined) yield sql`j.driver_id = ${filter.driverId}`;
  if (filter.since !== undefined) yield sql`j.created_at >= ${momentOf(filter.since)}`;
  if (filter.until !== undefined) yield sql`j.created_at < ${momentOf(filter.until)}`;
}

/** How many drivers a job was offered to, was delivered to, and was pushed to. */
export interface Reach {
  offered: number;
  delivered: number;
  pushed: number;
}

/** The reach of each of these jobs, by id. */
export async function reachOf(db: Db, ids: readonly string[]): Promise<Map<string, Reach>> {
  const rows = await db.execute<RowOf<Reach & { id: string }>>(sql`
    select job.id, reach.* from jsonb_array_elements_text(${JSON.stringify(ids)}::text::jsonb) job(id)
    cross join lateral (
      select count(distinct driver)::int as offered,
        count(distinct driver) filter (where how = 'socket')::int as delivered,
        count(distinct driver) filter (where how = 'push')::int as pushed
      from (
        select c.driver, 'wave' as how from job_waves w, unnest(w.candidate_ids) c(driver)
        where w.job_id = job.id
        union all
        select d.driver, 'socket' from deliveries r, unnest(r.driver_ids) d(driver)
        where r.job_id = job.id
        union all
        select d.driver, 'socket' from job_deliveries r, unnest(r.driver_ids) d(driver)
        where r.job_id = job.id
        union all
        select a.user_id, 'push' from pushes a
        where a.job_id = job.id and a.lane = 'nearby' and a.outcome = 'sent') reached) reach`);
  return new Map(rows.map(({ id, ...reach }) => [id, reach]));
}
