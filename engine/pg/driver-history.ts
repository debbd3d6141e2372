/** The kept history of drivers: changes of their state, and where they were. */
import type { Db } from './client.ts';
import { type SQL, sql } from './drizzle.ts';
import type { RowOf } from './jobs.ts';

const KINDS = ['approval_status', 'is_operator', 'online', 'truck_type', 'heard'] as const;

/** One change of one thing that decides whether a driver is offered work. */
export interface DriverEventRow {
  /** Epoch ms. */
  at: number;
  what: (typeof KINDS)[number];
  was: string | null;
  became: string | null;
  actor: string;
  reason: string | null;
}

/** A driver's last changes, newest first. */
export async function listDriverEvents(
  db: Db,
  driverId: string,
  limit: number,
): Promise<DriverEventRow[]> {
  // Each kind by itself, since the index orders them by time.
  return db.execute<RowOf<DriverEventRow>>(sql`
    select e.what, was, became, actor, reason, floor(extract(epoch from e.at) * 1000)::float8 as at
    from jsonb_array_elements_text(${JSON.stringify(KINDS)}::text::jsonb) kind(what)
      cross join lateral (
        select * from driver_events where driver_id = ${driverId} and what = kind.what
        order by at desc, id desc limit ${limit}::int) e
    order by e.at desc, e.id desc limit ${limit}::int`);
}

/** Where a driver was. */
export interface PositionSample {
  id: string;
  lat: number;
  lng: number;
  /** Epoch ms. */
  at: number;
}

/** Keeps the samples of drivers who are available by their rows. */
export async function insertPositions(db: Db, samples: readonly PositionSample[]): Promise<void> {
  await db.execute(sql`
    insert into driver_positions (driver_id, at, lat, lng)
    select d.id, least(to_timestamp(s.at / 1000), now()), s.lat, s.lng
    from jsonb_to_recordset(${JSON.stringify(samples)}::text::jsonb)
      as s(id text, lat float8, lng float8, at float8)
    cross join lateral (select * from drivers where id = s.id offset 0) d
    where d.online and d.approval_status = 'approved' and not d.is_operator
    on conflict do nothing`);
}

/**
 * An online driver who was silent for so long that he was offered nothing, and is heard from again: from
 * when to when. A driver who stays silent is known by his row.
 */
export function insertSilence(heard: SQL, staleMs: number): SQL {
  return sql`
    insert into driver_events (driver_id, at, what, was, became, actor)
    select id, clock_timestamp(), 'heard', ${timeText('was_seen_at')}, ${timeText('seen_at')}, 'muster'
    from (${heard}) heard
    where online and was_seen_at < seen_at - make_interval(secs => ${staleMs}::float8 / 1000)`;
}

/** RFC 3339 UTC, as `toTime` writes it. */
const timeText = (column: string) =>
  sql.raw(`to_char((${column}) at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`);
