/**
 * How a driver's row reaches Redis: his hash, the zones where he can be found while he is at work, and the
 * drivers log that every gateway follows. Ordered by `rev`; safe in any state of Redis and beside other
 * processes. What does not arrive is repeated by maintenance.
 */
import { isAtWork } from '../domain/visibility.ts';
import { WORLD, type Zone, zoneOf } from '../domain/zones.ts';
import { type DriverRow, findDriver, markSynced } from '../pg/drivers.ts';
import { indexDriver, leaveZone, putDriver } from '../redis/driver-scripts.ts';
import {
  type DriverFacts,
  type Fix,
  formatFix,
  type KnownDriver,
  readDriver,
  toKnownDriver,
} from '../redis/drivers.ts';
import { driversLog, keys } from '../redis/keys.ts';
import { appendLog } from '../redis/log-scripts.ts';
import { enterZone, entryOf } from './enter.ts';
import type { DriverStores } from './parts.ts';

/** In `world` everybody is at the same place. */
const NOWHERE = '0 0 0 -';

/** An entry of the drivers log: all that is known of one driver. */
interface DriverEvent {
  facts: DriverFacts;
  zone: Zone | null;
  fix: Fix | null;
  seenAt: number;
}

/** Reads the row again and brings Redis in line with it. */
export async function syncDriver(parts: DriverStores, id: string): Promise<void> {
  const row = await findDriver(parts.db, id);
  if (row) await syncDriverRow(parts, row);
}

/** Brings Redis in line with a driver's row, whatever state Redis is in. */
export async function syncDriverRow(parts: DriverStores, row: DriverRow): Promise<void> {
  const { redis } = parts;
  const facts = factsOf(row);
  const { id, rev } = row;
  const state = JSON.stringify(facts);
  const put = await putDriver(redis, { id, rev, state, atWork: isAtWork(facts) });
  if (!put.applied) return;
  if (isAtWork(facts)) await place(parts, row, facts, put.zone);
  else {
    for (const zone of new Set([WORLD, put.zone])) {
      if (zone) await leaveZone(redis, { zone, id, rev });
    }
  }
  // If a change came in between, here or in another process, start over.
  if (Number(await redis.hget(keys.driver(id), 'rev')) > rev) return syncDriver(parts, id);
  await announceDriver(parts, id);
  if (row.syncedRev < rev) await markSynced(parts.db, id, rev);
}

/** `zone`: where Redis has him. */
async function place(
  parts: DriverStores,
  row: DriverRow,
  facts: DriverFacts,
  zone: Zone | null,
): Promise<void> {
  const ageMs = row.seenAgeMs;
  const enter = (where: { zone: Zone; fix: string; onlyPresent: boolean }) =>
    indexDriver(parts.redis, entryOf(parts, facts, { ...where, ageMs }));
  await enter({ zone: WORLD, fix: NOWHERE, onlyPresent: false });
  const fix = lastFixOf(row);
  const isThere = fix !== null && zone === zoneOf(fix);
  if (zone) await enter({ zone, fix: isThere ? formatFix(fix) : '', onlyPresent: !isThere });
  // An older copy of Redis has an older position of him; the newer of two fixes counts.
  if (fix && !isThere) await enterZone(parts, row.id, fix, ageMs);
}

/** Moves a driver to where his fix is; puts his row first where Redis does not know him or is outdated. */
export async function enterOrSync(
  parts: DriverStores,
  id: string,
  fix: Fix,
  ageMs: number,
): Promise<void> {
  let entered = await enterZone(parts, id, fix, ageMs);
  if (entered === 'unknown') {
    await syncDriver(parts, id);
    entered = await enterZone(parts, id, fix, ageMs);
  }
  if (entered === 'outdated') await syncDriver(parts, id);
}

/** Tells every gateway what is known of a driver now. */
export async function announceDriver({ redis }: DriverStores, id: string): Promise<void> {
  const known = await readDriver(redis, id);
  if (!known) return;
  const { zone, fix, seenAt, position: _, ...facts } = known;
  const event: DriverEvent = { facts, zone, fix, seenAt };
  await appendLog(redis, driversLog, [JSON.stringify(event)]);
}

/** Reads the body of an entry of the drivers log. */
export function parseDriverEvent(body: string): KnownDriver {
  const { facts, zone, fix, seenAt } = JSON.parse(body) as DriverEvent;
  return toKnownDriver(facts, zone, fix, seenAt);
}

/** Where he was last, as far as Postgres knows. */
export function lastFixOf({ lat, lng, positionAt }: DriverRow): Fix | null {
  return lat === null || lng === null ? null : { lat, lng, at: positionAt ?? 0, heading: null };
}

/** The part of a row that Redis keeps of a driver. */
export function factsOf(row: DriverRow): DriverFacts {
  return {
    id: row.id,
    rev: row.rev,
    online: row.online,
    approved: row.approvalStatus === 'approved',
    suspended: row.approvalStatus === 'suspended',
    isOperator: row.isOperator,
    truckType: row.truckType,
    activeJobs: row.activeJobs,
  };
}
