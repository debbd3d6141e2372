/**
 * A recorded trace: jobs and sampled positions of a deployment, read from its Postgres, without
 * anything that leads back to a person. Ids become numbers in the order of their appearance, times
 * count from 0, positions have four decimals (about ten metres), texts are never read.
 */
import type postgres from 'postgres';
import { PROBE_CUSTOMERS } from '../replay/probes.ts';
import type { TraceEvent } from '../replay/trace.ts';

export interface Window {
  since: Date;
  until: Date;
}

interface Row {
  /** Epoch ms: a time as text depends on the database's `DateStyle`. */
  at: number;
  id: string | null;
  driver_id: string | null;
  lat: number;
  lng: number;
  free: boolean;
}

/** Rows held in memory at once. */
const PAGE = 5000;

/** Whether the deployment samples positions, and how many lie in the window. */
export async function countSamples(sql: postgres.ISql, window: Window): Promise<number | null> {
  const [table] = await sql`select to_regclass('driver_positions') as name`;
  if (table?.name === null) return null;
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from driver_positions
    where at >= ${window.since}::timestamptz and at < ${window.until}::timestamptz`;
  return row?.count ?? 0;
}

/** The events of the window, sorted by time. */
export async function* recordEvents(
  sql: postgres.ISql,
  window: Window,
  withPositions: boolean,
): AsyncGenerator<TraceEvent> {
  const drivers = new Map<string, string>();
  const driverName = (id: string): string => {
    const name = drivers.get(id) ?? `d${drivers.size + 1}`;
    drivers.set(id, name);
    return name;
  };
  let jobs = 0;
  for await (const rows of readRows(sql, window, withPositions)) {
    for (const { at, id, driver_id, lat, lng, free } of rows) {
      const t = at - window.since.getTime();
      const place = { lat: coarse(lat), lng: coarse(lng) };
      if (id === null && driver_id !== null) {
        yield { t, type: 'location', driver: driverName(driver_id), ...place, free };
      } else {
        jobs += 1;
        const served = driver_id === null ? {} : { served_by: driverName(driver_id) };
        yield { t, type: 'job', job: `j${jobs}`, ...place, ...served };
      }
    }
  }
}

/**
 * A driver is free while he is online and holds no job. Besides the samples, which are of online drivers, he
 * is where he was last seen, so that drivers who were there only for a moment are not missing.
 */
function readRows(sql: postgres.ISql, { since, until }: Window, withPositions: boolean) {
  return sql<Row[]>`
    with fixes as (
      ${withPositions ? historyFixes(sql, since) : sql``}
      select position_at as at, id as driver_id, lat, lng, ${
        withPositions ? onlineAt(sql, sql`d.position_at`) : sql`true`
      } as online
      from drivers d where position_at is not null and lat is not null and lng is not null
    )
    select floor(extract(epoch from events.at) * 1000)::float8 as at,
      id, driver_id, lat, lng, free from (
      select at, null::text as id, driver_id, lat, lng, online and not exists (
        select 1 from jobs held
        where held.driver_id = fixes.driver_id and held.accepted_at <= fixes.at
          and (held.status in ('accepted', 'en_route', 'arrived', 'started')
            or held.updated_at > fixes.at)) as free
      from fixes
      where at >= ${since}::timestamptz and at < ${until}::timestamptz
      union all
      select created_at as at, id, case when accepted_at is not null then driver_id end as driver_id,
        lat, lng, false as free
      from jobs
      where created_at >= ${since}::timestamptz and created_at < ${until}::timestamptz
        and lat is not null and lng is not null and customer_id !~ ${PROBE_CUSTOMERS}
    ) events
    order by events.at, id nulls first, driver_id`.cursor(PAGE);
}

/**
 * The samples; the last positions before the window of drivers who were online when it began; and drivers
 * going offline, which is not sampled.
 */
function historyFixes(sql: postgres.ISql, since: Date) {
  const sampledBefore = (at: postgres.PendingQuery<postgres.Row[]>) => sql`
    cross join lateral (
      select lat, lng from driver_positions p where p.driver_id = d.id and p.at < ${at}
      order by p.at desc limit 1) place`;
  const start = sql`${since}::timestamptz`;
  return sql`
    select at, driver_id, lat, lng, true as online from driver_positions
    union all
    select ${start}, d.id, place.lat, place.lng, true from drivers d ${sampledBefore(start)}
    where d.seen_at >= ${start} and ${onlineAt(sql, start)}
    union all
    select gone.at, d.id, place.lat, place.lng, false
    from (select at, driver_id as id from driver_events
      where what = 'online' and became = 'offline') gone
      join drivers d on d.id = gone.id ${sampledBefore(sql`gone.at`)}
    union all`;
}

/** Was the driver `d` online? By the last change before, else the first one after, else his row. */
function onlineAt(sql: postgres.ISql, at: postgres.PendingQuery<postgres.Row[]>) {
  const changes = sql`from driver_events e where e.driver_id = d.id and e.what = 'online'`;
  return sql`coalesce(
    (select e.became = 'online' ${changes} and e.at <= ${at} order by e.at desc, e.id desc limit 1),
    (select e.was = 'online' ${changes} and e.at > ${at} order by e.at, e.id limit 1),
    d.online)`;
}

function coarse(degrees: number): number {
  return Math.round(degrees * 1e4) / 1e4;
}
