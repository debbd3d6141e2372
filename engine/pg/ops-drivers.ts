/**
 * The fleet in Postgres, as operators see it: each driver's state in one word, by the rules of
 * visibility. Positions and signs of life are some seconds behind Redis here.
 */

import type { Position } from '../domain/distance.ts';
import { DRIVER_STATES, type DriverWord } from '../domain/fleet.ts';
import type { Place } from '../lists/cursors.ts';
import { anyOf, type Db } from './client.ts';
import { type SQL, sql } from './drizzle.ts';
import { HELD_SQL, type RowOf } from './jobs.ts';
import { contains } from './text-search.ts';

export interface FleetRules {
  driverStaleMs: number;
  driverMaxActiveJobs: number;
}

export interface FleetFilter {
  states?: readonly DriverWord[] | undefined;
  /** A whole id, or part of the name in upper or lower case. */
  text?: string | undefined;
  /** Sorts nearest first from here; by default by id. */
  near?: Position | undefined;
}

export interface FleetRow {
  id: string;
  name: string | null;
  state: DriverWord;
  truckType: string | null;
  lat: number | null;
  lng: number | null;
  /** Epoch ms. */
  positionAt: number | null;
  jobsHeld: number;
  phones: number;
}

const HELD_BY_HIM = sql`(select count(*)::int from jobs held
  where held.driver_id = d.id and held.status in ${HELD_SQL})`;

/** The state of a driver `d`, in one word. */
function stateOf({ driverStaleMs, driverMaxActiveJobs }: FleetRules): SQL {
  const busy =
    driverMaxActiveJobs > 0
      ? sql`when ${HELD_BY_HIM} >= ${driverMaxActiveJobs}::int then 'busy'`
      : sql``;
  return sql`case
    when d.approval_status <> 'approved' then d.approval_status
    when not d.online or d.is_operator then 'offline'
    when d.seen_at is null
      or d.seen_at < now() - make_interval(secs => ${driverStaleMs}::float8 / 1000) then 'stale'
    ${busy} else 'available' end`;
}

/** The first sort value of the list: greater is farther; drivers without a position come last. */
function keyOf(near: Position | undefined): SQL {
  if (!near) return sql`0::float8`;
  return sql`coalesce(power(sin(radians(d.lat - ${near.lat}::float8) / 2), 2)
    + cos(radians(d.lat)) * cos(radians(${near.lat}::float8))
    * power(sin(radians(d.lng - ${near.lng}::float8) / 2), 2), 2)`;
}

/** A page of the fleet after a place. Reads every driver if it must sort or search. */
export async function listFleet(
  db: Db,
  rules: FleetRules,
  filter: FleetFilter & { after: Place | null; limit: number },
): Promise<(FleetRow & { place: string })[]> {
  const { states, near, after, limit } = filter;
  const where = [sql`true`];
  if (states) where.push(sql`state = ${anyOf(states)}`);
  if (after) where.push(sql`(key, id) > (${after.at}::float8, ${after.id})`);
  return db.execute<RowOf<FleetRow & { place: string }>>(sql`
    select d.id, d.name, d.state, d.truck_type as "truckType", d.lat, d.lng,
      floor(extract(epoch from d.position_at) * 1000)::float8 as "positionAt",
      ${HELD_BY_HIM} as "jobsHeld",
      (select count(*)::int from device_tokens t where t.user_id = d.id and t.app = 'driver')
        as phones, d.key::text as place
    from (
      select * from (
        select d.*, ${stateOf(rules)} as state, ${keyOf(near)} as key from drivers d
        where ${searchOf(filter)}) fleet
      where ${sql.join(where, sql` and `)}
      order by key, id limit ${limit}::int) d
    order by d.key, d.id`);
}

/** How many drivers that match the text are in each state. */
export async function countFleet(
  db: Db,
  rules: FleetRules,
  filter: FleetFilter,
): Promise<Record<DriverWord, number>> {
  const rows = await db.execute<{ state: DriverWord; count: number }>(sql`
    select state, count(*)::int as count
    from (select ${stateOf(rules)} as state from drivers d where ${searchOf(filter)}) fleet
    group by state`);
  const counts = Object.fromEntries(DRIVER_STATES.map((state) => [state, 0]));
  for (const { state, count } of rows) counts[state] = count;
  return counts as Record<DriverWord, number>;
}

function searchOf({ text }: FleetFilter): SQL {
  if (text === undefined) return sql`true`;
  return sql`(d.id = ${text} or ${contains(sql`d.name`, text)})`;
}

/** One driver as in the list of the fleet; null when there is no such driver. */
export async function findInFleet(db: Db, rules: FleetRules, id: string): Promise<FleetRow | null> {
  const [row] = await db.execute<RowOf<FleetRow>>(sql`
    select d.id, d.name, ${stateOf(rules)} as state, d.truck_type as "truckType", d.lat, d.lng,
      floor(extract(epoch from d.position_at) * 1000)::float8 as "positionAt",
      ${HELD_BY_HIM} as "jobsHeld",
      (select count(*)::int from device_tokens t where t.user_id = d.id and t.app = 'driver')
        as phones
    from drivers d where d.id = ${id}`);
  return row ?? null;
}

export interface DriverOffer {
  jobId: string;
  address: string;
  wave: number;
  /** Epoch ms, like all times here. */
  offeredAt: number;
  /** When his socket was first given the job. */
  deliveredAt: number | null;
  outcome: 'open' | 'accepted' | 'released' | 'declined' | 'ignored' | 'withdrawn';
}

/** How far back a driver's offers are shown. */
const OFFERS_DAYS = 30;

/** A driver's newest offers of the last 30 days. */
export async function listOffers(db: Db, id: string, limit: number): Promise<DriverOffer[]> {
  return db.execute<RowOf<DriverOffer>>(sql`
    select o.job_id as "jobId", j.address, o.wave,
      floor(extract(epoch from o.opened_at) * 1000)::float8 as "offeredAt",
      (select floor(extract(epoch from min(given.at)) * 1000)::float8 from (
          select r.at + r.after_ms[array_position(r.driver_ids, ${id}::text)]
            * interval '1 millisecond' as at
          from deliveries r where r.job_id = o.job_id and r.driver_ids @> array[${id}]::text[]
          union all
          select r.at from job_deliveries r
          where r.job_id = o.job_id and r.driver_ids @> array[${id}]::text[]) given)
        as "deliveredAt",
      case
        when refusal.kind is not null then refusal.kind
        when j.driver_id = ${id} and j.accepted_at is not null then 'accepted'
        when j.status in ('pending', 'confirmed', 'assigned') then 'open'
        when j.status = 'expired' then 'ignored'
        else 'withdrawn' end as outcome
    from (
      select * from ((${newestUnfolded(id, limit)}) union all (${newestFolded(id, limit)})) newest
      order by opened_at desc limit ${limit}::int) o
    cross join lateral (select * from jobs where jobs.id = o.job_id offset 0) j
    left join lateral (
      select kind from job_refusals r where r.job_id = o.job_id and r.driver_id = ${id}) refusal
      on true
    order by o.opened_at desc`);
}

/** Offers of jobs that are open, or ended a moment ago: never many. */
function newestUnfolded(id: string, limit: number): SQL {
  return sql`
    select job_id, wave, opened_at from job_waves
    where not folded and candidate_ids @> array[${id}]::text[]
      and opened_at > now() - make_interval(days => ${OFFERS_DAYS}::int)
    order by opened_at desc limit ${limit}::int`;
}

/** All others, from today back, and no day further than needed. */
function newestFolded(id: string, limit: number): SQL {
  return sql`
    select w.job_id, w.wave, w.opened_at
    from (
      select floor(extract(epoch from now()) / 86400)::int - ago as day
      from generate_series(0, ${OFFERS_DAYS}::int) ago order by day desc) d
    cross join lateral (
      select job_id, wave, opened_at from job_waves
      where folded and offered_on(candidate_ids, opened_at) @> array[${id} || '@' || d.day]
        and opened_at > now() - make_interval(days => ${OFFERS_DAYS}::int) offset 0) w
    order by d.day desc, w.opened_at desc limit ${limit}::int`;
}
