/** The fleet page by page: each driver's state and last known position. */

import type { EngineContext } from '../context.ts';
import type { DriverWord } from '../domain/fleet.ts';
import type { Cursors, InvalidCursor, Page, PageQuery } from '../lists/cursors.ts';
import {
  countFleet,
  type FleetFilter,
  type FleetRow,
  findInFleet,
  listFleet,
} from '../pg/ops-drivers.ts';
import { readDriver } from '../redis/drivers.ts';

export interface FleetDriver extends FleetRow {
  /** Null where he has no position. */
  positionAgeS: number | null;
}

export interface FleetQuery extends FleetFilter, PageQuery {}

export interface FleetPage extends Page<FleetDriver> {
  /** Of all that match, whatever states were asked for. */
  counts: Record<DriverWord, number>;
}

type Parts = Pick<EngineContext, 'db' | 'redis' | 'settings' | 'now'>;

/** A page of the drivers who match, nearest first where a place was given, for one caller. */
export async function listDrivers(
  parts: Parts,
  cursors: Cursors,
  caller: string,
  query: FleetQuery,
): Promise<({ ok: true } & FleetPage) | InvalidCursor> {
  const { db, settings } = parts;
  const { near } = query;
  const list = near ? `drivers near ${near.lat},${near.lng}` : 'drivers';
  const [page, counts] = await Promise.all([
    cursors.page(`${list} of ${caller}`, query, (after, limit) =>
      listFleet(db, settings, { ...query, after, limit }),
    ),
    countFleet(db, settings, query),
  ]);
  if (!page.ok) return page;
  const rows = await Promise.all(page.rows.map((row) => withNewest(parts, row)));
  return { ok: true, rows, counts, nextCursor: page.nextCursor };
}

/** Null when there is no such driver. */
export async function findFleetDriver(parts: Parts, id: string): Promise<FleetDriver | null> {
  const row = await findInFleet(parts.db, parts.settings, id);
  return row && withNewest(parts, row);
}

/** With his newest position from Redis; without Redis with that of some seconds ago from his row. */
async function withNewest({ redis, now }: Parts, row: FleetRow): Promise<FleetDriver> {
  const known = await readDriver(redis, row.id).catch(() => null);
  const { lat, lng, at } = known?.fix ?? { lat: row.lat, lng: row.lng, at: row.positionAt };
  const positionAgeS = at === null ? null : Math.max(0, Math.round((now() - at) / 1000));
  return { ...row, lat, lng, positionAt: at, positionAgeS };
}
