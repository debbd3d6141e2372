/** Redis keeps what is needed of drivers at work, and nothing of the others for long. */
import { beforeAll, describe, expect, it } from 'vitest';
import { WORLD, zoneOf } from '../../../engine/domain/zones.ts';
import type { TrackedFix } from '../../../engine/drivers/parts.ts';
import { findDriver } from '../../../engine/pg/drivers.ts';
import { DRIVER_KEYS_TTL_S, keys } from '../../../engine/redis/keys.ts';
import { HERE, northOf, startTestEngine, type TestEngine } from '../../support/engine.ts';
import { keysOf } from '../../support/redis-keys.ts';
import { until } from '../../support/until.ts';

let t: TestEngine;
const tracked: TrackedFix[] = [];
beforeAll(async () => {
  t = await startTestEngine({}, undefined, (_engine, fixes) => tracked.push(...fixes));
});

async function report(id: string, at: { lat: number; lng: number }): Promise<void> {
  const driver = await t.engine.drivers.know(id);
  if (!driver) throw new Error(`driver ${id} is not known`);
  await t.engine.drivers.track(driver, { ...at, at: Date.now(), heading: null });
}
/** Keys of zones' drivers, and of no single driver. */
const zoneKeys = async () =>
  (await keysOf(t.ctx.redis, 'muster:{*')).filter((key) =>
    /:(roster|fixes|seen|drivers:.*)$/.test(key),
  );

describe('a driver who may not work', () => {
  it('leaves nothing in any zone, wherever he jumps; his row has where he was last', async () => {
    const states = {
      pending: { approvalStatus: 'pending' },
      suspended: { approvalStatus: 'suspended' },
      operator: { approvalStatus: 'approved', isOperator: true },
      offline: { approvalStatus: 'approved' },
    } as const;
    for (const [id, state] of Object.entries(states)) {
      await t.engine.drivers.change(id, { name: id, ...state });
      for (let i = 0; i < 5; i++) await report(id, { lat: 10 * i, lng: 20 * i });
      expect((await t.engine.drivers.know(id))?.position).toMatchObject({ lat: 40, lng: 80 });
      expect(await t.ctx.redis.ttl(keys.driver(id))).toBeGreaterThan(DRIVER_KEYS_TTL_S - 60);
      await until(async () => (await findDriver(t.ctx.db, id))?.lat === 40);
    }
    expect(await zoneKeys()).toEqual([]);
    expect(tracked).toEqual([]);
  });

  it('is where he was when he comes to work', async () => {
    await report('offline', HERE);
    await t.engine.drivers.setAvailability('offline', true);
    const driver = await t.engine.drivers.know('offline');
    expect(driver).toMatchObject({ zone: zoneOf(HERE), position: HERE });
    expect(await t.ctx.redis.ttl(keys.driver('offline'))).toBe(-1);
  });

  it('is not where another process has him from before he came to work there', async () => {
    const other = await t.another();
    await t.engine.drivers.change('late', { name: 'Late', approvalStatus: 'approved' });
    const before = await other.drivers.know('late');
    if (!before) throw new Error('not known');
    const at = Date.now();
    await other.drivers.track(before, { ...northOf(1), at, heading: null });
    await t.engine.drivers.setAvailability('late', true);
    await other.drivers.track(before, { ...HERE, at: at + 1, heading: null });
    const [[, fields] = ['', []]] = await t.ctx.redis.xrevrange(
      'muster:{drivers}:log',
      '+',
      '-',
      'COUNT',
      1,
    );
    other.drivers.hear(fields[3] ?? '');
    await until(async () => (await t.engine.drivers.know('late'))?.position?.lat === HERE.lat);
    await t.engine.drivers.setAvailability('late', false);
  });

  it('is followed while he holds a job, though he is offline', async () => {
    await t.driver('busy');
    const job = await t.post();
    expect(await t.engine.jobs.claim(job.id, 'busy')).toMatchObject({ ok: true });
    await t.engine.drivers.setAvailability('busy', false);
    tracked.length = 0;
    await report('busy', northOf(3));
    expect(tracked).toMatchObject([{ id: 'busy', fix: northOf(3) }]);
    expect(await t.ctx.redis.zscore(keys.candidates(zoneOf(HERE), null), 'busy')).toBeNull();
    for (const status of ['en_route', 'completed'] as const) {
      expect(await t.engine.jobs.progress(job.id, 'busy', status)).toMatchObject({ ok: true });
    }
    await t.engine.drivers.sweep();
    tracked.length = 0;
    await report('busy', northOf(4));
    expect(tracked).toEqual([]);
  });

  it('is found to hold a job that he took while he was offline', async () => {
    await t.engine.drivers.change('taker', { name: 'Taker', approvalStatus: 'approved' });
    const job = await t.post();
    expect(await t.engine.jobs.claim(job.id, 'taker')).toMatchObject({ ok: true });
    tracked.length = 0;
    await until(async () => {
      await report('taker', northOf(3));
      return tracked.some(({ id }) => id === 'taker');
    });
  });
});

describe('the keys of a zone', () => {
  it('expire when nobody writes to them any more', async () => {
    await t.driver('last', HERE, 'van');
    const zone = zoneOf(HERE);
    const of = [keys.roster(zone), keys.fixes(zone), keys.seen(zone)];
    const indexes = [keys.candidates(zone, null), keys.candidates(zone, 'van')];
    const isFresh = async (key: string) => (await t.ctx.redis.ttl(key)) > DRIVER_KEYS_TTL_S - 60;
    for (const key of [...of, ...indexes]) expect(await isFresh(key), key).toBe(true);
    for (const key of [...of, ...indexes]) await t.ctx.redis.expire(key, 100);
    // A sign of life is a write, also of a driver who stands still.
    const driver = await t.engine.drivers.know('last');
    if (!driver) throw new Error('not known');
    await t.engine.drivers.track(driver, null);
    for (const key of [...of, ...indexes]) expect(await isFresh(key), key).toBe(true);
  });

  it('are gone with its last driver', async () => {
    for (const id of ['last', 'offline', 'late', 'busy', 'taker']) {
      await t.engine.drivers.change(id, { approvalStatus: 'suspended' });
    }
    expect(await zoneKeys()).toEqual([]);
  });

  it('come back with the sign of life of a driver whom they have forgotten', async () => {
    await t.driver('sleeper', northOf(2));
    const driver = await t.engine.drivers.know('sleeper');
    if (!driver) throw new Error('not known');
    await until(async () => (await findDriver(t.ctx.db, 'sleeper'))?.lat !== null);
    const forgotten = await zoneKeys();
    for (const key of forgotten) await t.ctx.redis.del(key);
    await t.engine.drivers.track(driver, null);
    expect((await zoneKeys()).sort()).toEqual(forgotten.sort());
    expect(await t.ctx.redis.zscore(keys.candidates(WORLD, null), 'sleeper')).not.toBeNull();
  });
});
