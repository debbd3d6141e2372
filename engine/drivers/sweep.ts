/**
 * The sweep of drivers: every driver at work by Postgres is compared with his hash and with the zones where
 * he must be found, and every driver in a zone is compared with Postgres. A difference is checked a second
 * time, since drivers move and change meanwhile, then repaired from the row.
 */
import { isAtWork } from '../domain/visibility.ts';
import { WORLD, type Zone } from '../domain/zones.ts';
import { type DriverRow, findDrivers, listDrivers } from '../pg/drivers.ts';
import { leaveZone } from '../redis/driver-scripts.ts';
import {
  type Membership,
  type Placement,
  readMemberships,
  readZoneMembers,
} from '../redis/driver-zones.ts';
import { rosterEntry } from '../redis/keys.ts';
import { mayBeFound } from './enter.ts';
import { isAhead, mendDrivers } from './mend.ts';
import type { DriverStores } from './parts.ts';
import { factsOf, syncDriverRow } from './sync.ts';

/** Drivers compared at once: a few milliseconds of each store. */
const PAGE = 500;
/** Repaired at once: others wait for the stores as well. */
const REPAIRS_AT_ONCE = 16;

/** A sweep returns how many drivers it repaired; it ends early when the signal aborts. */
export function createSweep(parts: DriverStores): (signal?: AbortSignal) => Promise<number> {
  return async (signal) => {
    /** Driver at work → the zone where Redis has him. */
    const placed = new Map<string, Zone | null>();
    let repaired = 0;
    for (let afterId = ''; !signal?.aborted; ) {
      const rows = await listDrivers(parts.db, { afterId, onlyAtWork: true, limit: PAGE });
      repaired += await sweepRows(parts, rows, placed);
      const last = rows.at(-1);
      if (!last || rows.length < PAGE) break;
      afterId = last.id;
    }
    for (const zone of new Set([WORLD, ...placed.values()])) {
      if (signal?.aborted || zone === null) continue;
      repaired += await sweepMembers(parts, zone, placed);
    }
    return repaired;
  };
}

/** Drivers whom Redis must have. */
async function sweepRows(
  parts: DriverStores,
  rows: readonly DriverRow[],
  placed: Map<string, Zone | null>,
): Promise<number> {
  const isWrong: Judge = (row, has) => differs(parts, row, has) || isAhead(parts, row, has);
  const found = await judged(parts, rows, placed, isWrong);
  if (found.length === 0) return 0;
  const ids = found.map(({ id }) => id);
  const mended = await mendDrivers(parts, ids);
  const again = await findDrivers(parts.db, ids);
  const wrong = await judged(parts, again, placed, (row, has) => differs(parts, row, has));
  return mended + (await repairEach(wrong, (row) => syncDriverRow(parts, row)));
}

type Judge = (row: DriverRow, has: Membership) => boolean;

async function judged(
  parts: DriverStores,
  rows: readonly DriverRow[],
  placed: Map<string, Zone | null>,
  isWrong: Judge,
): Promise<DriverRow[]> {
  const memberships = await readMemberships(parts.redis, rows);
  return rows.filter((row, i) => {
    const membership = memberships[i];
    if (!membership) return false;
    if (isAtWork(factsOf(row))) placed.set(row.id, membership.zone);
    return isWrong(row, membership);
  });
}

/** Does Redis hold him differently from his row? What it knows from a newer row is not judged. */
function differs({ settings }: DriverStores, row: DriverRow, has: Membership): boolean {
  if (has.rev === null || has.rev < row.rev) return true;
  if (has.rev > row.rev) return false;
  const facts = factsOf(row);
  if (!isAtWork(facts)) return has.atWork || has.zone !== null || has.world.entry !== null;
  const available = mayBeFound(facts, settings);
  const entry = rosterEntry(row.rev, available, row.truckType);
  const isRight = (place: Placement | null) =>
    place !== null &&
    place.entry === entry &&
    place.hasFix &&
    place.isSeen &&
    place.isIndexed === available &&
    place.isIndexedByType === available;
  const needsZone = has.zone !== null || row.lat !== null;
  return !has.atWork || !isRight(has.world) || (needsZone && !isRight(has.here));
}

/** Drivers who are in a zone and should not be. */
async function sweepMembers(
  parts: DriverStores,
  zone: Zone,
  placed: ReadonlyMap<string, Zone | null>,
): Promise<number> {
  let repaired = 0;
  for await (const ids of readZoneMembers(parts.redis, zone, PAGE)) {
    const strangers = ids.filter((id) =>
      zone === WORLD ? !placed.has(id) : placed.get(id) !== zone,
    );
    if (strangers.length === 0) continue;
    const rows = new Map((await findDrivers(parts.db, strangers)).map((row) => [row.id, row]));
    const asked = strangers.map((id) => rows.get(id) ?? { id, truckType: null });
    const memberships = await readMemberships(parts.redis, asked);
    const ghosts = strangers.filter((id, i) => {
      const row = rows.get(id);
      if (!row || !isAtWork(factsOf(row))) return true;
      return zone !== WORLD && memberships[i]?.zone !== zone;
    });
    await mendDrivers(parts, ghosts);
    const now = new Map((await findDrivers(parts.db, ghosts)).map((row) => [row.id, row]));
    repaired += await repairEach(ghosts, async (id) => {
      const row = now.get(id);
      // A newer rev may have brought him here since the row was read.
      await leaveZone(parts.redis, { zone, id, ...(row && { rev: row.rev }) });
      if (row) await syncDriverRow(parts, row);
    });
  }
  return repaired;
}

async function repairEach<T>(
  items: readonly T[],
  repair: (item: T) => Promise<unknown>,
): Promise<number> {
  for (let i = 0; i < items.length; i += REPAIRS_AT_ONCE) {
    await Promise.all(items.slice(i, i + REPAIRS_AT_ONCE).map(repair));
  }
  return items.length;
}
