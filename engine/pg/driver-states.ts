/**
 * The state of drivers at a moment, from their rows and from the histories of their changes, silences,
 * jobs and positions. For the present moment it is what their rows say.
 */

import { anyOf, type Db } from './client.ts';
import type { ApprovalStatus } from './drivers.ts';
import { type SQL, sql } from './drizzle.ts';
import { HELD_SQL, type RowOf } from './jobs.ts';

export interface DriverThen {
  id: string;
  /** His name of today. */
  name: string | null;
  /** He had no profile yet. */
  unborn: boolean;
  approvalStatus: ApprovalStatus;
  isOperator: boolean;
  online: boolean;
  truckType: string | null;
  activeJobs: number;
  lat: number | null;
  lng: number | null;
  /** When he was last heard from before the moment, epoch ms; null: never. */
  seenAt: number | null;
}

export interface StateRules {
  driverStaleMs: number;
  driverMaxActiveJobs: number;
}

/** Most jobs examined of those that a driver took before the moment: as many as he may hold. */
const HELD_MAX = 1000;
/** What takes a job from its driver. */
const ENDS = `('job.released', 'job.cancelled', 'job.completed', 'job.expired')`;
/** Jobs that he had taken and still held. */
const HELD_THEN = sql.raw(`(
  select count(*)::int from (
    select * from job_events e
    where e.driver_id = d.id and e.type = 'job.accepted' and e.at <= moment.at
    order by e.at desc limit ${HELD_MAX}) taken
  where not exists (
    select from job_events ended
    where ended.job_id = taken.job_id and ended.id > taken.id and ended.at <= moment.at
      and ended.type in ${ENDS}))`);

/** The drivers as they were at `at` (RFC 3339), or as their rows are for null; in no order. */
export async function driversAt(
  db: Db,
  ids: readonly string[],
  at: string | null,
  rules: StateRules,
): Promise<DriverThen[]> {
  return db.execute<RowOf<DriverThen>>(at === null ? rowsNow(ids) : rowsThen(ids, at, rules));
}

function rowsNow(ids: readonly string[]): SQL {
  return sql`
    select d.id, d.name, false as unborn, d.approval_status as "approvalStatus",
      d.is_operator as "isOperator", d.online, d.truck_type as "truckType", d.lat, d.lng,
      ${msOf('d.seen_at')} as "seenAt",
      (select count(*)::int from jobs held
        where held.driver_id = d.id and held.status in ${HELD_SQL}) as "activeJobs"
    from drivers d where d.id = ${anyOf(ids)}`;
}

function rowsThen(ids: readonly string[], at: string, { driverMaxActiveJobs }: StateRules): SQL {
  return sql`
    select d.id, d.name, d.created_at > moment.at as unborn,
      ${valueAt('approval_status', 'd.approval_status')} as "approvalStatus",
      ${valueAt('is_operator', 'd.is_operator::text')}::boolean as "isOperator",
      ${valueAt('online', `case when d.online then 'online' else 'offline' end`)} = 'online'
        as online,
      ${valueAt('truck_type', 'd.truck_type')} as "truckType",
      ${msOf(`case when silence.since <= moment.at then silence.since
        when d.seen_at <= moment.at then d.seen_at
        when d.seen_at is null then null else moment.at end`)} as "seenAt",
      ${driverMaxActiveJobs > 0 ? HELD_THEN : sql`0`} as "activeJobs",
      place.lat, place.lng
    from (select ${at}::timestamptz as at) moment
      cross join lateral (select * from drivers where id = ${anyOf(ids)}) d
      left join lateral (
        select was::timestamptz as since from driver_events e
        where e.driver_id = d.id and e.what = 'heard' and e.at > moment.at
        order by e.at, e.id limit 1) silence on true
      left join lateral (
        select lat, lng from (
          (select p.lat, p.lng, p.at from driver_positions p
            where p.driver_id = d.id and p.at <= moment.at order by p.at desc limit 1)
          union all
          select d.lat, d.lng, d.position_at where d.position_at <= moment.at) known
        order by known.at desc limit 1) place on true`;
}

/** What the last change before the moment made it, else what the first one after it found, else the row. */
function valueAt(what: string, current: string): SQL {
  const events = sql`driver_events e where e.driver_id = d.id and e.what = ${what}`;
  return sql`(
    select value from (
      (select 1 as place, e.became as value from ${events} and e.at <= moment.at
        order by e.at desc, e.id desc limit 1)
      union all
      (select 2, e.was from ${events} and e.at > moment.at order by e.at, e.id limit 1)
      union all
      select 3, ${sql.raw(current)}) known
    order by place limit 1)`;
}

const msOf = (time: string) => sql.raw(`floor(extract(epoch from ${time}) * 1000)::float8`);
