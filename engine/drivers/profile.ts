/**
 * Drivers: what they and operators may change, and how a change reaches Redis.
 * A change commits in Postgres and bumps `rev`; then it goes to the driver's hash, to the zones
 * where he can be found, and to the drivers log that every gateway follows. What does not arrive
 * is repeated by the reconciler.
 */
import type { EngineContext } from '../context.ts';
import { WORLD, type Zone, zoneOf } from '../domain/zones.ts';
import { setOnline, upsertDriver } from '../pg/driver-changes.ts';
import { type DriverChange, type DriverRow, findDriver, markSynced } from '../pg/drivers.ts';
import { indexDriver, leaveZone, moveDriver, putDriver } from '../redis/driver-scripts.ts';
import {
  type DriverFacts,
  type Fix,
  formatFix,
  type KnownDriver,
  parseFix,
  readDriver,
  toKnownDriver,
} from '../redis/drivers.ts';
import { driversLog, keys } from '../redis/keys.ts';
import { appendLog } from '../redis/log-scripts.ts';

/** What the drivers log says: all that is known of one driver. */
export interface DriverEvent {
  facts: DriverFacts;
  zone: Zone | null;
  fix: Fix | null;
  seenAt: number;
}

/** Creates or changes a driver; takes effect on live sockets at once. */
export async function changeDriver(
  ctx: EngineContext,
  id: string,
  change: DriverChange,
): Promise<DriverRow> {
  const row = await upsertDriver(ctx.db, id, change);
  await trySync(ctx, row);
  return row;
}

export type AvailabilityResult =
  | { ok: true; driver: DriverRow }
  | { ok: false; code: 'not_approved' };

/** Goes online or offline. Only an approved driver may go online. */
export async function setAvailability(
  ctx: EngineContext,
  id: string,
  online: boolean,
): Promise<AvailabilityResult> {
  const before = await findDriver(ctx.db, id);
  if (before?.approvalStatus !== 'approved') return { ok: false, code: 'not_approved' };
  const row = await setOnline(ctx.db, id, online, {
    by: `driver:${id}`,
    staleMs: ctx.settings.driverStaleMs,
    keepPosition: ctx.settings.positionHistoryS > 0,
  });
  if (!row) return { ok: false, code: 'not_approved' };
  await trySync(ctx, row);
  return { ok: true, driver: row };
}

/** All that is known of a driver, from Redis or, where Redis has lost him, from Postgres. */
export async function knowDriver(ctx: EngineContext, id: string): Promise<KnownDriver | null> {
  const known = await readDriver(ctx.redis, id);
  if (known) return known;
  const row = await findDriver(ctx.db, id);
  if (!row) return null;
  await syncDriverRow(ctx, row);
  return readDriver(ctx.redis, id);
}

/** Reads the row again and brings Redis to it. */
export async function syncDriver(ctx: EngineContext, id: string): Promise<void> {
  const row = await findDriver(ctx.db, id);
  if (row) await syncDriverRow(ctx, row);
}

/** Brings Redis to a driver's row, from any state Redis may be in. Ordered by `rev`. */
export async function syncDriverRow(ctx: EngineContext, row: DriverRow): Promise<void> {
  const facts = factsOf(row);
  const { applied, zone } = await putDriver(ctx.redis, {
    id: row.id,
    rev: row.rev,
    state: JSON.stringify(facts),
  });
  if (!applied) return;
  const seenAt = row.seenAt ?? 0;
  await indexDriver(ctx.redis, entryOf(ctx, facts, WORLD, seenAt, '0 0 0 -', false));
  const fix = lastFixOf(row);
  const isThere = fix !== null && zone === zoneOf(fix);
  if (zone) {
    const known = isThere ? formatFix(fix) : '';
    await indexDriver(ctx.redis, entryOf(ctx, facts, zone, seenAt, known, true));
  }
  // An older copy of Redis has him where he was then; of two fixes the newer one counts.
  if (fix && !isThere) await enterZone(ctx, facts, fix, seenAt);
  await announceDriver(ctx, row.id);
  await markSynced(ctx.db, row.id, row.rev);
}

/**
 * Puts a driver into the zone of his fix and takes him out of the one he left; a fix that is older
 * than the one there changes nothing in the end. Adds with the rev it knows, then reads the rev
 * again: a change that came between is applied anew.
 */
export async function enterZone(
  ctx: EngineContext,
  facts: DriverFacts,
  fix: Fix,
  seenAt: number,
): Promise<void> {
  const zone = zoneOf(fix);
  const move = await moveDriver(ctx.redis, { id: facts.id, zone, at: fix.at });
  if (!move.moved) return;
  const current = move.state ? (JSON.parse(move.state) as DriverFacts) : facts;
  await indexDriver(ctx.redis, entryOf(ctx, current, zone, seenAt, formatFix(fix), false));
  if (move.before && move.before !== zone) {
    const { id } = facts;
    const left = await leaveZone(ctx.redis, { zone: move.before, id, at: fix.at });
    // This fix came late: a newer one says that he is where he was.
    const newer = left ? null : parseFix(await ctx.redis.hget(keys.fixes(move.before), id));
    if (newer) return enterZone(ctx, current, newer, seenAt);
  }
  const [rev] = await ctx.redis.hmget(keys.driver(facts.id), 'rev');
  // A Redis that has forgotten him says nothing of what the caller knew: his row does.
  if (Number(rev) !== current.rev) await syncDriver(ctx, facts.id);
}

/** Tells every gateway what is known of a driver now. */
export async function announceDriver(ctx: EngineContext, id: string): Promise<void> {
  const known = await readDriver(ctx.redis, id);
  if (!known) return;
  const { zone, fix, seenAt, position: _, ...facts } = known;
  const event: DriverEvent = { facts, zone, fix, seenAt };
  await appendLog(ctx.redis, driversLog, [JSON.stringify(event)]);
}

/** Reads the body of an entry of the drivers log. */
export function parseDriverEvent(body: string): KnownDriver {
  const { facts, zone, fix, seenAt } = JSON.parse(body) as DriverEvent;
  return toKnownDriver(facts, zone, fix, seenAt);
}

/** May he be found by a search? Staleness is a matter of the moment and not part of it. */
function isAvailable(ctx: EngineContext, facts: DriverFacts): boolean {
  const limit = ctx.settings.driverMaxActiveJobs;
  return (
    facts.online && facts.approved && !facts.isOperator && (limit === 0 || facts.activeJobs < limit)
  );
}

function entryOf(
  ctx: EngineContext,
  facts: DriverFacts,
  zone: Zone,
  seenAt: number,
  fix: string,
  onlyPresent: boolean,
) {
  return {
    zone,
    id: facts.id,
    rev: facts.rev,
    available: isAvailable(ctx, facts),
    truckType: facts.truckType,
    seenAt,
    fix,
    onlyPresent,
  };
}

function lastFixOf({ lat, lng, positionAt }: DriverRow): Fix | null {
  return lat === null || lng === null ? null : { lat, lng, at: positionAt ?? 0, heading: null };
}

function factsOf(row: DriverRow): DriverFacts {
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

/** The change is committed; if Redis is away the reconciler brings it there. */
async function trySync(ctx: EngineContext, row: DriverRow): Promise<void> {
  try {
    await syncDriverRow(ctx, row);
  } catch (error) {
    ctx.log.warn({ err: error, driver: row.id }, 'driver not yet in Redis, will be repeated');
  }
}
