/**
 * Zone changes: puts a driver into the zone of his fix and takes him out of the one he left. Safe against
 * other processes that move or change him at the same time: each looks again after it wrote.
 */
import { isAtWork } from '../domain/visibility.ts';
import { zoneOf } from '../domain/zones.ts';
import { type IndexEntry, indexDriver, leaveZone, moveDriver } from '../redis/driver-scripts.ts';
import { type DriverFacts, type Fix, formatFix, parseFix } from '../redis/drivers.ts';
import { keys } from '../redis/keys.ts';
import type { DriverStores } from './parts.ts';

/**
 * Moves a driver to the zone of his fix; a fix older than the one in Redis changes nothing in the end.
 * `unknown`: Redis does not know him, his row must be put first. `outdated`: he changed meanwhile and his
 * row must be put again.
 */
export async function enterZone(
  parts: DriverStores,
  id: string,
  fix: Fix,
  ageMs: number | null,
): Promise<'done' | 'unknown' | 'outdated'> {
  const { redis } = parts;
  const zone = zoneOf(fix);
  const move = await moveDriver(redis, { id, zone, at: fix.at });
  if (move.kind === 'unknown') return 'unknown';
  if (move.kind !== 'moved') return 'done';
  const facts = JSON.parse(move.state) as DriverFacts;
  const entry = entryOf(parts, facts, { zone, ageMs, fix: formatFix(fix), onlyPresent: false });
  await indexDriver(redis, entry);
  if (move.before && move.before !== zone) {
    const left = await leaveZone(redis, { zone: move.before, id, at: fix.at });
    // This fix came late: by a newer one he has not left.
    const newer = left ? null : parseFix(await redis.hget(keys.fixes(move.before), id));
    if (newer) return enterZone(parts, id, newer, ageMs);
  }
  const [rev, current] = await redis.hmget(keys.driver(id), 'rev', 'zone');
  if (current !== zone) await leaveZone(redis, { zone, id, at: fix.at });
  return Number(rev) === facts.rev ? 'done' : 'outdated';
}

/** How a zone knows a driver who is at work. */
export function entryOf(
  { settings }: DriverStores,
  facts: DriverFacts,
  where: Pick<IndexEntry, 'zone' | 'ageMs' | 'fix' | 'onlyPresent'>,
): IndexEntry {
  const { id, rev, truckType } = facts;
  return { id, rev, truckType, available: mayBeFound(facts, settings), ...where };
}

/** May a search find him? Staleness depends on the moment and is checked then. */
export function mayBeFound(
  facts: DriverFacts,
  { driverMaxActiveJobs: limit }: DriverStores['settings'],
): boolean {
  const isFree = limit === 0 || facts.activeJobs < limit;
  return isAtWork(facts) && facts.online && !facts.isOperator && isFree;
}
