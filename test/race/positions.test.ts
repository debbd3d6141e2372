/**
 * Where drivers are, when what phones say comes late, twice or never: who is chosen for a job is
 * who is there now. Each scenario runs on Muster and on an index as others keep it.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Position } from '../../engine/domain/distance.ts';
import { zoneOf } from '../../engine/domain/zones.ts';
import { findDriver, saveLastSeen } from '../../engine/pg/drivers.ts';
import { driversLog } from '../../engine/redis/keys.ts';
import { startTestEngine, type TestEngine } from '../support/engine.ts';
import { emptyRedis } from '../support/redis-keys.ts';
import {
  chosenOf,
  globalIndex,
  INDEX_SETTINGS,
  type Index,
  kmNorth,
  LIMIT,
  musterIndex,
  NORTH,
  SOUTH,
  STALE_MS,
  zonedIndex,
} from './support/indexes.ts';
import { copyOf, violations } from './support/steps.ts';

let t: TestEngine;
beforeAll(async () => {
  t = await startTestEngine(INDEX_SETTINGS);
});

const muster = musterIndex(() => t);

const chosenFor = (at: Position, truckType: string | null) => chosenOf(t, at, truckType);

// ride-hailing (richxcame): a buffered write that is flushed after "offline" puts the driver back
// into the index. Truxify #1517, #1518: pings after the work is over.
describe('late location after offline', () => {
  async function scenario(index: Index): Promise<string[]> {
    const found = violations();
    const start = Date.now();
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
    await muster.enter('known', SOUTH, Date.now());
    const before = await other.drivers.know('known');
    if (!before) throw new Error('not known');
    await muster.leave('known');
    for (const at of [SOUTH, NORTH]) {
      await other.drivers.track(before, { ...at, at: Date.now(), heading: null });
      expect(await muster.nearest(at)).not.toContain('known');
    }
  });

  it('Muster: nor when Redis has forgotten him', async () => {
    const other = await t.another();
    await muster.enter('forgotten', SOUTH, Date.now());
    const before = await other.drivers.know('forgotten');
    if (!before) throw new Error('not known');
    await muster.leave('forgotten');
    await emptyRedis(t.ctx.redis);
    await other.drivers.track(before, { ...SOUTH, at: Date.now(), heading: null });
    expect(await muster.nearest(SOUTH)).not.toContain('forgotten');
  });

  it('Muster: nor into the index of a truck that he does not drive any more', async () => {
    await t.driver('trucker', SOUTH, 'van');
    const before = await t.engine.drivers.know('trucker');
    if (!before) throw new Error('not known');
    await t.engine.drivers.change('trucker', { truckType: 'flatbed' });
    await t.engine.drivers.track(before, {
      ...kmNorth(SOUTH, 1),
      at: Date.now() + 1,
      heading: null,
    });
    expect(await chosenFor(SOUTH, 'van')).toEqual([]);
    expect(await chosenFor(SOUTH, 'flatbed')).toEqual(['trucker']);
    await muster.leave('trucker');
    expect(await chosenFor(SOUTH, 'van')).toEqual([]);
    expect(await chosenFor(SOUTH, 'flatbed')).toEqual([]);
  });

  it('Muster: also when two processes change his truck at once', async () => {
    const other = await t.another();
    await muster.enter('changer', SOUTH, Date.now());
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
    await muster.enter('saved', SOUTH, Date.now());
    const known = await other.drivers.know('saved');
    if (!known) throw new Error('not known');
    const at = Date.now();
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
      await muster.enter(driver, farSouth, Date.now());
    }
    const putBack = await copyOf(t.ctx.redis);
    const at = Date.now();
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
    for (const id of dead) await index.enter(id, place, Date.now());
    await index.silence(dead, 2 * STALE_MS);
    for (let i = 0; i < LIMIT; i++)
      await index.enter(`live${i}`, kmNorth(place, 1 + i / 2), Date.now());
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
    const start = Date.now();
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
    const start = Date.now();
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
