/**
 * Where drivers are, when what phones say comes late, twice or never: who is chosen for a job is
 * who is there now. Each scenario runs on Muster and on an index as others keep it.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { distanceKm, type Position } from '../../engine/domain/distance.ts';
import { WORLD, zoneOf } from '../../engine/domain/zones.ts';
import { findDriver, saveLastSeen } from '../../engine/pg/drivers.ts';
import type { RedisClient } from '../../engine/redis/client.ts';
import { driversLog, keys } from '../../engine/redis/keys.ts';
import { candidatesOf } from '../support/candidates.ts';
import { HERE, startTestEngine, type TestEngine } from '../support/engine.ts';
import { emptyRedis } from '../support/redis-keys.ts';
import { until } from '../support/until.ts';
import { copyOf, violations } from './support/steps.ts';

/** An index of drivers, as dispatch asks it. */
interface Index {
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

const LIMIT = 5;
const RADIUS_KM = 5;
const STALE_MS = 120_000;
const kmNorth = (from: Position, km: number) => ({ lat: from.lat + km / 111.226, lng: from.lng });
/** Two places in neighbouring zones, out of each other's reach. */
const { south: SOUTH, north: NORTH } = besideTheBorder();
const ZONES = [SOUTH, NORTH].map(zoneOf);

let t: TestEngine;
const now = Date.now;
beforeAll(async () => {
  const waves = [{ radiusKm: RADIUS_KM, waitS: undefined }];
  t = await startTestEngine({
    radiusKm: RADIUS_KM,
    waves,
    pushMaxCandidates: LIMIT,
    driverStaleMs: STALE_MS,
  });
});

const muster: Index = {
  async enter(driver, at, when) {
    await t.engine.drivers.change(driver, { approvalStatus: 'approved' });
    await t.engine.drivers.setAvailability(driver, true);
    await muster.fix(driver, at, when);
  },
  async fix(driver, at, when) {
    const known = await t.engine.drivers.know(driver);
    if (!known) throw new Error(`driver ${driver} is not known`);
    await t.engine.drivers.track(known, { ...at, at: when, heading: null });
  },
  async leave(driver) {
    await t.engine.drivers.setAvailability(driver, false);
  },
  async silence(drivers, ms) {
    for (const zone of [WORLD, ...ZONES]) {
      const heardAt = drivers.flatMap((id) => [now() - ms, id]);
      await t.ctx.redis.zadd(keys.seen(zone), 'XX', ...heardAt);
    }
  },
  nearest: (at) => chosenFor(at, null),
};

/** The candidates that dispatch chooses for a job. */
async function chosenFor(at: Position, truckType: string | null): Promise<string[]> {
  const job = await t.post({ position: at, truckType });
  await until(() => t.waves.some((wave) => wave.jobId === job.id));
  return candidatesOf(t.ctx.db, job.id);
}

// ride-hailing (richxcame): a buffered write that is flushed after "offline" puts the driver back
// into the index. Truxify #1517, #1518: pings after the work is over.
describe('late location after offline', () => {
  async function scenario(index: Index): Promise<string[]> {
    const found = violations();
    const start = now();
    await index.enter('late', SOUTH, start);
    found.expect((await index.nearest(SOUTH)).includes('late'), 'online, yet not found');
    const buffered = index.fix('late', kmNorth(SOUTH, 1), start + 1);
    await index.leave('late');
    await buffered;
    found.expect(!(await index.nearest(SOUTH)).includes('late'), 'offline, yet chosen');
    await index.fix('late', NORTH, start + 2);
    found.expect(!(await index.nearest(NORTH)).includes('late'), 'offline, yet chosen elsewhere');
    return found.list;
  }

  it('Muster: a fix never brings an offline driver back', async () => {
    expect(await scenario(muster)).toEqual([]);
  });

  it('Muster: nor does it with what another process knew of him before', async () => {
    const other = await t.another();
    await muster.enter('known', SOUTH, now());
    const before = await other.drivers.know('known');
    if (!before) throw new Error('not known');
    await muster.leave('known');
    for (const at of [SOUTH, NORTH]) {
      await other.drivers.track(before, { ...at, at: now(), heading: null });
      expect(await muster.nearest(at)).not.toContain('known');
    }
  });

  it('Muster: nor when Redis has forgotten him', async () => {
    const other = await t.another();
    await muster.enter('forgotten', SOUTH, now());
    const before = await other.drivers.know('forgotten');
    if (!before) throw new Error('not known');
    await muster.leave('forgotten');
    await emptyRedis(t.ctx.redis);
    await other.drivers.track(before, { ...SOUTH, at: now(), heading: null });
    expect(await muster.nearest(SOUTH)).not.toContain('forgotten');
  });

  it('Muster: nor into the index of a truck that he does not drive any more', async () => {
    await t.driver('trucker', SOUTH, 'van');
    const before = await t.engine.drivers.know('trucker');
    if (!before) throw new Error('not known');
    await t.engine.drivers.change('trucker', { truckType: 'flatbed' });
    await t.engine.drivers.track(before, { ...kmNorth(SOUTH, 1), at: now() + 1, heading: null });
    expect(await chosenFor(SOUTH, 'van')).toEqual([]);
    expect(await chosenFor(SOUTH, 'flatbed')).toEqual(['trucker']);
    await muster.leave('trucker');
    expect(await chosenFor(SOUTH, 'van')).toEqual([]);
    expect(await chosenFor(SOUTH, 'flatbed')).toEqual([]);
  });

  it('Muster: also when two processes change his truck at once', async () => {
    const other = await t.another();
    await muster.enter('changer', SOUTH, now());
    for (let round = 0; round < 20; round++) {
      await Promise.all([
        t.engine.drivers.change('changer', { truckType: 'van' }),
        other.drivers.change('changer', { truckType: 'flatbed' }),
      ]);
      const is = (await findDriver(t.ctx.db, 'changer'))?.truckType;
      expect(await chosenFor(SOUTH, is === 'van' ? 'flatbed' : 'van')).toEqual([]);
      expect(await chosenFor(SOUTH, is ?? '')).toEqual(['changer']);
    }
    await muster.leave('changer');
  });

  it('Muster: nor does Postgres keep a fix that came late', async () => {
    const other = await t.another();
    await muster.enter('saved', SOUTH, now());
    const known = await other.drivers.know('saved');
    if (!known) throw new Error('not known');
    const at = now();
    await other.drivers.track(known, { ...kmNorth(SOUTH, 1), at, heading: null });
    await other.drivers.track(known, { ...SOUTH, at: at - 1, heading: null });
    // Its last positions go to Postgres with the end of a process.
    await other.drivers.close();
    const row = await findDriver(t.ctx.db, 'saved');
    expect(row).toMatchObject({ ...kmNorth(SOUTH, 1), positionAt: at });
    await muster.leave('saved');
  });

  it('a naive version fails it', async () => {
    const index = globalIndex(t.ctx.redis, 'naive:late');
    expect(await scenario(index)).toEqual(['offline, yet chosen', 'offline, yet chosen elsewhere']);
  });
});

// A restored dump knows where drivers were then; who is not connected sends no newer fix.
describe('an older copy of the index', () => {
  it('Muster: each driver counts where Postgres saw him last, in his zone or another', async () => {
    const farSouth = kmNorth(SOUTH, -20);
    for (const driver of ['stayer', 'walker', 'traveller']) {
      await muster.enter(driver, farSouth, now());
    }
    const putBack = await copyOf(t.ctx.redis);
    const at = now();
    await saveLastSeen(
      t.ctx.db,
      [
        { id: 'walker', ...kmNorth(farSouth, -10), at, seenAgeMs: 0 },
        { id: 'traveller', ...NORTH, at, seenAgeMs: 0 },
        // What is older in Postgres than in Redis changes nothing.
        { id: 'stayer', ...NORTH, at: 1000, seenAgeMs: 0 },
      ],
      t.ctx.settings.driverStaleMs,
    );
    await putBack();
    await t.ctx.redis.hset(driversLog.meta, 'ready', 'another run');
    expect(await muster.nearest(farSouth)).toEqual(['stayer']);
    expect(await muster.nearest(kmNorth(farSouth, -10))).toEqual(['walker']);
    expect(await muster.nearest(NORTH)).toEqual(['traveller']);
    for (const driver of ['stayer', 'walker', 'traveller']) await muster.leave(driver);
  });
});

// ride-hailing (richxcame): members never expire and COUNT is taken before the dead are filtered
// out: 40 dead ones nearer than 5 live ones, and nobody is found, at COUNT 20 and at COUNT 40.
// Truxify #894, #6184: online never times out.
describe('dead members eating a COUNT', () => {
  const place = kmNorth(SOUTH, -30);
  async function scenario(index: Index): Promise<string[]> {
    const found = violations();
    const dead = Array.from({ length: 40 }, (_, i) => `dead${i}`);
    for (const id of dead) await index.enter(id, place, now());
    await index.silence(dead, 2 * STALE_MS);
    for (let i = 0; i < LIMIT; i++) await index.enter(`live${i}`, kmNorth(place, 1 + i / 2), now());
    const chosen = await index.nearest(place);
    found.expect(!chosen.some((id) => id.startsWith('dead')), 'the dead were chosen');
    const live = chosen.filter((id) => id.startsWith('live')).length;
    found.expect(live === LIMIT, `${live} of ${LIMIT} live drivers chosen`);
    return found.list;
  }

  it('Muster: the living are found behind any number of the dead', async () => {
    expect(await scenario(muster)).toEqual([]);
  });
  it('a naive version fails it', async () => {
    const index = globalIndex(t.ctx.redis, 'naive:dead');
    expect(await scenario(index)).toEqual([`0 of ${LIMIT} live drivers chosen`]);
  });
});

// location-tracking-service: who moved out of the radius is missed where he is now and found in an
// older key at his old position, up to 20 minutes old, under a fresh timestamp; LTS #224: one stray
// ping moves a driver away and back.
describe('driver moved zones', () => {
  async function scenario(index: Index): Promise<string[]> {
    const found = violations();
    const isAt = async (here: Position, there: Position, when: string) => {
      found.expect((await index.nearest(here)).includes('mover'), `${when}: not found where he is`);
      found.expect(!(await index.nearest(there)).includes('mover'), `${when}: found where he was`);
    };
    const start = now();
    await index.enter('mover', SOUTH, start);
    await index.fix('mover', NORTH, start + 100);
    await isAt(NORTH, SOUTH, 'after the move');
    await index.fix('mover', SOUTH, start + 50);
    await isAt(NORTH, SOUTH, 'after a late fix from before the move');
    await index.fix('mover', kmNorth(NORTH, 1), start + 200);
    await index.fix('mover', SOUTH, start + 150);
    await isAt(NORTH, SOUTH, 'after a late fix from an excursion');
    await index.fix('mover', SOUTH, start + 300);
    await isAt(SOUTH, NORTH, 'after the way back');
    return found.list;
  }

  it('Muster: he is in one place, that of the newest fix', async () => {
    expect(await scenario(muster)).toEqual([]);
    const known = await t.engine.drivers.know('mover');
    expect(known).toMatchObject({ zone: zoneOf(SOUTH), position: SOUTH });
  });

  it('Muster: also when two processes hear of him in another order', async () => {
    const other = await t.another();
    const start = now();
    await muster.enter('hopper', SOUTH, start);
    const known = await t.engine.drivers.know('hopper');
    if (!known) throw new Error('not known');
    const fixes = Array.from({ length: 30 }, (_, i) => ({ at: start + 1 + i, heading: null }));
    const last = { ...kmNorth(SOUTH, 1), ...fixes.at(-1), at: start + 100, heading: null };
    for (const [i, fix] of fixes.entries()) {
      const at = i % 2 ? SOUTH : NORTH;
      // The second process is a fix behind.
      await Promise.all([
        t.engine.drivers.track(known, { ...at, ...fix }),
        other.drivers.track(known, { ...(i % 2 ? NORTH : SOUTH), at: fix.at - 1, heading: null }),
      ]);
    }
    await t.engine.drivers.track(known, last);
    expect(await muster.nearest(SOUTH)).toContain('hopper');
    expect(await muster.nearest(NORTH)).not.toContain('hopper');
    expect(await t.engine.drivers.know('hopper')).toMatchObject({ zone: zoneOf(SOUTH), fix: last });
  });

  it('a naive version fails it', async () => {
    expect(await scenario(zonedIndex(t.ctx.redis))).toEqual([
      'after the move: found where he was',
      'after a late fix from before the move: found where he was',
      'after a late fix from an excursion: found where he was',
      'after the way back: found where he was',
    ]);
  });
});

/** One GEO set; writes are buffered, the dead are filtered out of the nearest. */
function globalIndex(redis: RedisClient, key: string): Index {
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
      for (const id of drivers) seen.set(id, now() - ms);
    },
    async nearest(at) {
      const ids = await searchNearest(redis, key, at);
      return ids.filter((id) => now() - (seen.get(id) ?? 0) <= STALE_MS).slice(0, LIMIT);
    },
  };
}

/** A GEO set a zone, written by whichever fix comes. */
function zonedIndex(redis: RedisClient): Index {
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
