/** Indexes of drivers in two neighbouring zones: Muster's, and naive ones. */
import { distanceKm, type Position } from '../../../engine/domain/distance.ts';
import { WORLD, zoneOf } from '../../../engine/domain/zones.ts';
import type { RedisClient } from '../../../engine/redis/client.ts';
import { keys } from '../../../engine/redis/keys.ts';
import { candidatesOf } from '../../support/candidates.ts';
import { HERE, type TestEngine } from '../../support/engine.ts';
import { until } from '../../support/until.ts';

/** An index of drivers, as dispatch asks it. */
export interface Index {
  /** A driver goes online where he is. */
  enter(driver: string, at: Position, when: number): Promise<void>;
  /** Takes a fix as the gateway does: it may wait for others; resolves when it is written. */
  fix(driver: string, at: Position, when: number): Promise<void>;
  leave(driver: string): Promise<void>;
  /** Nothing was heard of them for so long. */
  silence(drivers: readonly string[], ms: number): Promise<void>;
  /** At most five drivers for a job there, nearest first. */
  nearest(at: Position): Promise<string[]>;
}

export const LIMIT = 5;
export const RADIUS_KM = 5;
export const STALE_MS = 120_000;
/** Of the engine whose index is Muster's. */
export const INDEX_SETTINGS = {
  radiusKm: RADIUS_KM,
  waves: [{ radiusKm: RADIUS_KM, waitS: undefined }],
  pushMaxCandidates: LIMIT,
  driverStaleMs: STALE_MS,
};
export const kmNorth = (from: Position, km: number) => ({
  lat: from.lat + km / 111.226,
  lng: from.lng,
});
/** Two places in neighbouring zones, out of each other's reach. */
export const { south: SOUTH, north: NORTH } = besideTheBorder();
export const ZONES = [SOUTH, NORTH].map(zoneOf);

/** Muster's, by the engine of a test. */
export function musterIndex(test: () => TestEngine): Index {
  const index: Index = {
    async enter(driver, at, when) {
      await test().engine.drivers.change(driver, { approvalStatus: 'approved' });
      await test().engine.drivers.setAvailability(driver, true);
      await index.fix(driver, at, when);
    },
    async fix(driver, at, when) {
      const known = await test().engine.drivers.know(driver);
      if (!known) throw new Error(`driver ${driver} is not known`);
      await test().engine.drivers.track(known, { ...at, at: when, heading: null });
    },
    async leave(driver) {
      await test().engine.drivers.setAvailability(driver, false);
    },
    async silence(drivers, ms) {
      for (const zone of [WORLD, ...ZONES]) {
        const heardAt = drivers.flatMap((id) => [Date.now() - ms, id]);
        await test().ctx.redis.zadd(keys.seen(zone), 'XX', ...heardAt);
      }
    },
    nearest: (at) => chosenOf(test(), at, null),
  };
  return index;
}

/** The candidates that dispatch chooses for a job. */
export async function chosenOf(
  t: TestEngine,
  at: Position,
  truckType: string | null,
): Promise<string[]> {
  const job = await t.post({ position: at, truckType });
  await until(() => t.waves.some((wave) => wave.jobId === job.id));
  return candidatesOf(t.ctx.db, job.id);
}

/** One GEO set; writes are buffered, the dead are filtered out of the nearest. */
export function globalIndex(redis: RedisClient, key: string): Index {
  const seen = new Map<string, number>();
  const write = (driver: string, at: Position) => redis.geoadd(key, at.lng, at.lat, driver);
  return {
    async enter(driver, at, when) {
      seen.set(driver, when);
      await write(driver, at);
    },
    async fix(driver, at, when) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      seen.set(driver, when);
      await write(driver, at);
    },
    async leave(driver) {
      await redis.zrem(key, driver);
    },
    async silence(drivers, ms) {
      for (const id of drivers) seen.set(id, Date.now() - ms);
    },
    async nearest(at) {
      const ids = await searchNearest(redis, key, at);
      return ids.filter((id) => Date.now() - (seen.get(id) ?? 0) <= STALE_MS).slice(0, LIMIT);
    },
  };
}

/** A GEO set a zone, written by whichever fix comes. */
export function zonedIndex(redis: RedisClient): Index {
  const keyOf = (at: Position) => `naive:zone:${zoneOf(at)}`;
  return {
    async enter(driver, at, when) {
      await this.fix(driver, at, when);
    },
    async fix(driver, at) {
      await redis.geoadd(keyOf(at), at.lng, at.lat, driver);
    },
    async leave(driver) {
      for (const at of [SOUTH, NORTH]) await redis.zrem(keyOf(at), driver);
    },
    async silence() {},
    nearest: (at) => searchNearest(redis, keyOf(at), at),
  };
}

async function searchNearest(redis: RedisClient, key: string, at: Position): Promise<string[]> {
  const reply = await redis.call(
    'GEOSEARCH',
    ...[key, 'FROMLONLAT', at.lng, at.lat, 'BYRADIUS', RADIUS_KM, 'km', 'ASC', 'COUNT', 20],
  );
  return reply as string[];
}

/** Walks north until the zone changes, then a little apart from the border on both sides. */
function besideTheBorder(): { south: Position; north: Position } {
  let border = HERE;
  while (zoneOf(border) === zoneOf(HERE)) border = kmNorth(border, 1);
  const pair = { south: kmNorth(border, -4), north: kmNorth(border, 4) };
  if (distanceKm(pair.south, pair.north) < RADIUS_KM) throw new Error('too close to each other');
  return pair;
}
