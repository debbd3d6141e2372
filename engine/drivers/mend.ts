/**
 * Mends drivers whose rows are behind Redis. What Redis knew was committed before, so a row that is read
 * after Redis and is behind proves that Postgres went back. Then the row wins, under a rev above what
 * Redis held. A driver whose row is gone is no longer offered anything.
 */
import { WORLD } from '../domain/zones.ts';
import { type DriverRow, findDrivers, raiseRevs } from '../pg/drivers.ts';
import { leaveZone, putDriver } from '../redis/driver-scripts.ts';
import { type Membership, type Placement, readMemberships } from '../redis/driver-zones.ts';
import type { DriverFacts } from '../redis/drivers.ts';
import type { DriverStores } from './parts.ts';
import { announceDriver, factsOf, syncDriver } from './sync.ts';

/** Brings Redis in line with the rows of those drivers who are ahead of them. Returns how many were. */
export async function mendDrivers(parts: DriverStores, ids: readonly string[]): Promise<number> {
  if (ids.length === 0) return 0;
  // Redis is read first: whatever it holds then is in Postgres by now.
  const memberships = await readMemberships(
    parts.redis,
    ids.map((id) => ({ id, truckType: null })),
  );
  const rows = new Map((await findDrivers(parts.db, ids)).map((row) => [row.id, row]));
  const behind: { id: string; above: number }[] = [];
  let forgotten = 0;
  for (const [i, id] of ids.entries()) {
    const [row, has] = [rows.get(id), memberships[i]];
    if (!has) continue;
    if (row && isAhead(parts, row, has)) behind.push({ id, above: revOf(has) });
    if (!row && (await forget(parts, id, has))) forgotten++;
  }
  const raised = behind.length === 0 ? [] : await raiseRevs(parts.db, behind);
  await Promise.all(raised.map((id) => syncDriver(parts, id)));
  if (raised.length > 0) parts.metrics.reconciled('driver_raised', raised.length);
  if (forgotten > 0) parts.metrics.reconciled('driver_forgotten', forgotten);
  return raised.length + forgotten;
}

/** Does Redis hold something of him that his row does not have? Read in the other order it proves nothing. */
export function isAhead(
  { settings }: Pick<DriverStores, 'settings'>,
  row: DriverRow,
  has: Membership,
): boolean {
  const rev = revOf(has);
  if (rev !== row.rev) return rev > row.rev;
  if (has.rev !== rev || !has.facts) return false;
  const { activeJobs, ...facts } = factsOf(row);
  // Without a job limit his number of jobs changes without his rev.
  const compared = settings.driverMaxActiveJobs > 0 ? { ...facts, activeJobs } : facts;
  const held = has.facts;
  return Object.entries(compared).some(
    ([name, value]) => held[name as keyof DriverFacts] !== value,
  );
}

/** The newest rev by which Redis knows him anywhere; 0 for none. */
function revOf({ rev, here, world }: Membership): number {
  const inZone = (place: Placement | null) => Number(place?.entry?.split(' ')[0] ?? 0);
  return Math.max(rev ?? 0, inZone(here), inZone(world));
}

/**
 * He stays connected but offline: while a dump is being restored, missing rows may come back in a moment.
 * False when there is nothing to do.
 */
async function forget(parts: DriverStores, id: string, has: Membership): Promise<boolean> {
  const { atWork, facts, here, world } = has;
  if (!atWork && !facts?.online && !here?.entry && !world.entry) return false;
  const rev = revOf(has) + 1;
  const state: DriverFacts = {
    ...{ approved: false, suspended: false, isOperator: false, truckType: null },
    ...facts,
    ...{ id, rev, online: false, activeJobs: 0 },
  };
  await putDriver(parts.redis, { id, rev, state: JSON.stringify(state), atWork: false });
  for (const zone of new Set([WORLD, has.zone])) {
    if (zone) await leaveZone(parts.redis, { zone, id });
  }
  await announceDriver(parts, id);
  return true;
}
