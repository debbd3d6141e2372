/**
 * How drivers answered their offers, in Postgres: one row a driver and day, into which a job is
 * folded a moment after it was over, plus what is not folded yet, which is added when somebody asks.
 *
 * Each job counts once for a driver. Only what reached him counts against him: an offer that was
 * never delivered, or was withdrawn before he answered (taken by another, reserved for another,
 * cancelled), does not; `ignored` are those that expired unanswered. A driver who declined a job and
 * took it after all has accepted it.
 */

import type { Db } from './client.ts';
import { sql } from './drizzle.ts';
import { CLAIMABLE_SQL, OVER_SQL, type RowOf } from './jobs.ts';

export interface DriverCounters {
  offered: number;
  delivered: number;
  accepted: number;
  declined: number;
  ignored: number;
  withdrawn: number;
  acceptance_rate: number | null;
}

/** What the counters cover. */
const COUNTED_DAYS = 30;
/** Deliveries and pushes of a job are still being recorded for a moment after it is over. */
const SETTLED_AFTER_S = 60;
/** Most jobs counted of those that are not folded yet, which are mostly still open or held. */
const UNFOLDED_MAX = 2000;

/** The counters of one driver over the last 30 days. */
export async function driverCounters(db: Db, id: string): Promise<DriverCounters> {
  const [row] = await db.execute<RowOf<Omit<DriverCounters, 'acceptance_rate'>>>(sql`
    with own_waves as materialized (
      select job_id, wave from job_waves
      where not folded and candidate_ids @> array[${id}]::text[] limit ${UNFOLDED_MAX}::int),
    own_deliveries as materialized (
      (select job_id from deliveries
        where not folded and driver_ids @> array[${id}]::text[] limit ${UNFOLDED_MAX}::int)
      union all
      (select job_id from job_deliveries
        where not folded and driver_ids @> array[${id}]::text[] limit ${UNFOLDED_MAX}::int)),
    own_jobs as materialized (
      select id from jobs where driver_id = ${id} and not folded limit ${UNFOLDED_MAX}::int),
    own_refusals as materialized (
      select job_id, kind from job_refusals
      where driver_id = ${id} and not folded limit ${UNFOLDED_MAX}::int),
    reached as (
      select job_id, 'offered' as how from own_waves
      union all select job_id, 'delivered' from own_deliveries
      union all
      select w.job_id, 'delivered' from own_waves w
      -- "offset 0": looked up for each wave, never all pushes there are.
      where exists (select from (
          select * from pushes p where p.job_id = w.job_id and p.wave = w.wave offset 0) p
        where p.user_id = ${id} and p.lane = 'nearby' and p.outcome = 'sent')
      union all select job_id, 'declined' from own_refusals where kind = 'declined'),
    accepted as (
      select mine.id as job_id from (
        select id from own_jobs union select job_id from own_refusals where kind = 'released') mine
      where exists (select from job_events e
        where e.job_id = mine.id and e.type = 'job.accepted' and e.driver_id = ${id})),
    job as (
      select j.id, j.status, ${RESERVED_FOR} as reserved_for
      from (select job_id from reached union select job_id from accepted) mine
      cross join lateral (select * from jobs where id = mine.job_id and not folded offset 0) j),
    counted as (
      select ${COUNTS} from (
        select job.status, coalesce(job.reserved_for <> ${id}, false) as reserved,
          count(*) filter (where how <> 'declined' and how <> 'accepted') > 0 as offered,
          bool_or(how = 'delivered') as delivered, bool_or(how = 'accepted') as accepted,
          bool_or(how = 'declined') as declined
        from job cross join lateral (
          select how from reached where reached.job_id = job.id
          union all select 'accepted' from accepted where accepted.job_id = job.id) reached
        group by job.id, job.status, job.reserved_for) answer)
    select ${sql.join(
      COUNTED.map((name) => sql.raw(`coalesce(sum(${name}), 0)::int as ${name}`)),
      sql`, `,
    )}
    from (
      select ${NAMES} from counted
      union all
      select ${NAMES} from driver_days where driver_id = ${id}
        and day > (now() at time zone 'utc')::date - ${COUNTED_DAYS}::int) days`);
  if (!row) throw new Error('an aggregate returned no row');
  const answered = row.accepted + row.declined + row.ignored;
  return { ...row, acceptance_rate: answered === 0 ? null : row.accepted / answered };
}

/**
 * Folds some of the jobs that are over into the daily counters of their drivers, oldest first, in one
 * statement, so that a job is either folded or not. Returns how many.
 */
export async function foldJobs(db: Db, limit: number): Promise<number> {
  const [row] = await db.execute<{ count: number }>(sql`
    with job as materialized (
      select j.id, j.status, (j.updated_at at time zone 'utc')::date as day,
        ${RESERVED_FOR} as reserved_for
      from jobs j
      where not j.folded and j.status in ${OVER_SQL}
        and j.updated_at < now() - make_interval(secs => ${SETTLED_AFTER_S}::float8)
      order by j.updated_at limit ${limit}::int for update skip locked),
    met as (
      select job.*, c.driver_id, 'offered' as how
      from job cross join lateral (select * from job_waves where job_id = job.id offset 0) w
        cross join unnest(w.candidate_ids) c(driver_id)
      union all
      select job.*, c.driver_id, 'delivered'
      from job cross join lateral (
          select driver_ids from deliveries where job_id = job.id
          union all select driver_ids from job_deliveries where job_id = job.id offset 0) r
        cross join unnest(r.driver_ids) c(driver_id)
      union all
      select job.*, a.user_id, 'delivered'
      from job cross join lateral (select * from pushes p where p.job_id = job.id offset 0) a
      where a.lane = 'nearby' and a.outcome = 'sent'
      union all
      select job.*, e.driver_id, 'accepted'
      from job cross join lateral (select * from job_events where job_id = job.id offset 0) e
      where e.type = 'job.accepted'
      union all
      select job.*, f.driver_id, 'declined'
      from job cross join lateral (select * from job_refusals where job_id = job.id offset 0) f
      where f.kind = 'declined'),
    counted as (
      select driver_id, day, ${COUNTS} from (
        select driver_id, day, status, coalesce(reserved_for <> driver_id, false) as reserved,
          count(*) filter (where how <> 'declined' and how <> 'accepted') > 0 as offered,
          bool_or(how = 'delivered') as delivered, bool_or(how = 'accepted') as accepted,
          bool_or(how = 'declined') as declined
        from met group by id, driver_id, day, status, reserved_for) answer),
    days as (
      insert into driver_days as old (driver_id, day, ${NAMES})
      select driver_id, day, ${sql.join(
        COUNTED.map((name) => sql.raw(`sum(${name})`)),
        sql`, `,
      )}
      from counted group by driver_id, day order by driver_id, day
      on conflict (driver_id, day) do update set ${sql.join(
        COUNTED.map((name) => sql.raw(`${name} = old.${name} + excluded.${name}`)),
        sql`, `,
      )}),
    totals as (
      insert into job_days as old (day, status, jobs)
      select day, status, count(*) from job group by day, status order by day, status
      on conflict (day, status) do update set jobs = old.jobs + excluded.jobs),
    waves as (
      update job_waves set folded = true where job_id = ${IDS} and not folded),
    deliveries as (
      update deliveries set folded = true where job_id = ${IDS} and not folded),
    deliveries_before as (
      update job_deliveries set folded = true where job_id = ${IDS} and not folded),
    refusals as (
      update job_refusals set folded = true where job_id = ${IDS} and not folded),
    done as (update jobs set folded = true where id = ${IDS} returning id)
    select count(*)::int as count from done`);
  return row?.count ?? 0;
}

const COUNTED = ['offered', 'delivered', 'accepted', 'declined', 'ignored', 'withdrawn'] as const;
const NAMES = sql.raw(COUNTED.join(', '));
/** Looked up one by one: a join may be planned to read the whole table. */
const IDS = sql.raw('any(array(select id from job))');

/** The driver for whom a job was reserved when it expired: everybody else's offer was withdrawn. */
const RESERVED_FOR = sql.raw(`case when j.status = 'expired' then (
  select case when e.status = 'assigned' then e.driver_id end from job_events e
  where e.job_id = j.id and e.type <> 'job.expired' order by e.id desc limit 1) end`);

/** What one job counts for one driver, by how it reached him and how it ended. */
const COUNTS = sql`
  offered::int as offered, delivered::int as delivered, accepted::int as accepted,
  (declined and not accepted)::int as declined,
  (delivered and not accepted and not declined and status = 'expired' and not reserved)::int
    as ignored,
  (delivered and not accepted and not declined and status not in ${CLAIMABLE_SQL}
    and (status <> 'expired' or reserved))::int as withdrawn`;
