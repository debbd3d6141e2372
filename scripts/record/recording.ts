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
  at: Date;
  id: string | null;
  driver_id: string | null;
  lat: number;
  lng: number;
  free: boolean;
}

/** Rows held in memory at once. */
const PAGE = 5000;

/** Whether the deployment samples positions, and how many lie in the window. */
export async function countSamples(sql: postgres.Sql, window: Window): Promise<number | null> {
  const [table] = await sql`select to_regclass('driver_positions') as name`;
  if (table?.name === null) return null;
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from driver_positions
    where at >= ${window.since}::timestamptz and at < ${window.until}::timestamptz`;
  return row?.count ?? 0;
}

/** The events of the window, sorted by time. */
export async function* recordEvents(
  sql: postgres.Sql,
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
      const t = at.getTime() - window.since.getTime();
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
 * A fix is that of a busy driver while a job that he took was not over. Besides the samples each
 * driver is where he was seen last, so that nobody is missing who was only there for a moment.
 */
function readRows(sql: postgres.Sql, { since, until }: Window, withPositions: boolean) {
  const samples = withPositions
    ? sql`select at, driver_id, lat, lng from driver_positions union all`
    : sql``;
  return sql<Row[]>`
    with fixes as (
      ${samples}
      select position_at as at, id as driver_id, lat, lng from drivers
      where position_at is not null and lat is not null and lng is not null
    )
    select at, id, driver_id, lat, lng, free from (
      select at, null::text as id, driver_id, lat, lng, not exists (
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
    order by at, id nulls first, driver_id`.cursor(PAGE);
}

function coarse(degrees: number): number {
  return Math.round(degrees * 1e4) / 1e4;
}
