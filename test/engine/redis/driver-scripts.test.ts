/** The scripts of drivers: what each answers, what it writes, what it leaves alone. */
import { describe, expect, it } from 'vitest';
import { WORLD } from '../../../engine/domain/zones.ts';
import { findCandidates, listCandidates, readPositions } from '../../../engine/redis/candidates.ts';
import {
  indexDriver,
  leaveZone,
  moveDriver,
  putDriver,
  track,
} from '../../../engine/redis/driver-scripts.ts';
import { keys } from '../../../engine/redis/keys.ts';
import { redis, useReadyZone, zone } from './support/zone.ts';

useReadyZone();

describe('put-driver and move-driver', () => {
  it('takes a newer revision only', async () => {
    const state = (rev: number) =>
      putDriver(redis, { id: 'd1', rev, state: `{"rev":${rev}}`, atWork: true });
    expect(await state(2)).toEqual({ applied: true, zone: null });
    expect((await state(1)).applied).toBe(false);
    expect(await redis.hget(keys.driver('d1'), 'state')).toBe('{"rev":2}');
  });

  it('moves him unless a later fix has moved him already', async () => {
    await putDriver(redis, { id: 'd1', rev: 1, state: '{}', atWork: true });
    expect(await moveDriver(redis, { id: 'd1', zone: 'a', at: 10 })).toMatchObject({
      kind: 'moved',
      before: null,
    });
    expect(await moveDriver(redis, { id: 'd1', zone: 'b', at: 9 })).toMatchObject({ kind: 'old' });
    expect(await moveDriver(redis, { id: 'd1', zone: 'b', at: 11 })).toMatchObject({
      kind: 'moved',
      before: 'a',
      state: '{}',
    });
  });
});

describe('index-driver, track, find-candidates, leave-zone', () => {
  const enter = (change: object = {}) =>
    indexDriver(redis, {
      zone,
      id: 'd1',
      rev: 1,
      available: true,
      truckType: 'van',
      ageMs: 0,
      fix: '37.77 -122.41 1000 -',
      onlyPresent: false,
      ...change,
    });
  const find = (truckType: string | null, staleMs = 120_000) =>
    findCandidates(redis, {
      zone,
      truckType,
      at: { lat: 37.77, lng: -122.41 },
      radiusKm: 30,
      staleMs,
      exactFromKm: 40,
    }).then((found) => found.map((c) => c.id));
  const fix = (at: number, lat = 37.8, who = 'd1') =>
    track(redis, zone, 120_000, [
      { id: who, truckType: 'van', fix: `${lat} -122.41 ${at} 90` },
    ]).then(({ answers }) => answers[0]);

  it('keeps what it has when it hears of the same fix again', async () => {
    await enter();
    await fix(2000);
    await enter({ fix: '37.8 -122.41 2000 -' });
    expect(await redis.hget(keys.fixes(zone), 'd1')).toBe('37.8 -122.41 2000 90');
  });

  it('finds an available driver by any type and by his own', async () => {
    await enter();
    expect(await find(null)).toEqual(['d1']);
    expect(await find('van')).toEqual(['d1']);
    expect(await find('flatbed')).toEqual([]);
  });

  it('finds him with his exact position', async () => {
    await enter();
    const [found] = await findCandidates(redis, {
      zone,
      truckType: null,
      at: { lat: 37.771, lng: -122.41 },
      radiusKm: 1,
      staleMs: 120_000,
      exactFromKm: 0,
    });
    expect(found).toMatchObject({ id: 'd1', zone, exact: { lat: 37.77, lng: -122.41 } });
    expect(found?.km).toBeCloseTo(0.1112, 3);
    const positions = await readPositions(redis, [
      { id: 'd1', zone },
      { id: 'd9', zone },
    ]);
    expect([...positions.keys()]).toEqual(['d1']);
  });

  it('asks for any number of drivers at once, and lists no more than are wanted', async () => {
    const drivers = Array.from({ length: 2500 }, (_, i) => `n${i}`);
    const places = drivers.flatMap((driver) => ['-122.41', '37.77', driver]);
    const lives = drivers.flatMap((driver, i) => [i % 2 ? Date.now() : 1, driver]);
    for (const at of [zone, WORLD]) {
      await redis.call('GEOADD', keys.candidates(at, null), ...places);
      await redis.zadd(keys.seen(at), ...lives);
    }
    expect((await find(null)).length).toBe(1250);
    const list = (wanted: number) =>
      listCandidates(redis, { truckType: null, wanted, staleMs: 120_000 });
    const few = (await list(10)).length;
    expect(few).toBeGreaterThanOrEqual(10);
    expect(few).toBeLessThan(1250);
    expect((await list(2000)).length).toBe(1250);
  });

  it('does not find who is stale, or was taken out, or changed his type', async () => {
    await enter();
    await redis.zadd(keys.seen(zone), Date.now() - 200_000, 'd1');
    expect(await find(null)).toEqual([]);
    expect(await find(null, 300_000)).toEqual(['d1']);
    await fix(2000, 37.77);
    await enter({ rev: 2, truckType: 'flatbed', onlyPresent: true });
    expect(await find('van')).toEqual([]);
    expect(await find('flatbed')).toEqual(['d1']);
    await enter({ rev: 3, available: false, truckType: 'flatbed', onlyPresent: true });
    expect(await find(null)).toEqual([]);
  });

  it('takes no type for all types', async () => {
    await enter({ truckType: '*' });
    await enter({ id: 'd2', truckType: 'van' });
    expect(await find('*')).toEqual(['d1']);
  });

  it('an older revision, or a caller who knows an older one, does not say which truck it is', async () => {
    await enter({ rev: 2, truckType: 'flatbed' });
    await enter({ rev: 1, truckType: 'van' });
    await fix(2000);
    expect(await find('van')).toEqual([]);
    expect(await find('flatbed')).toEqual(['d1']);
    await leaveZone(redis, { zone, id: 'd1', at: 3000 });
    expect(await find('flatbed')).toEqual([]);
  });

  it('an older revision does not bring him back', async () => {
    await enter({ rev: 5, available: false });
    await enter({ rev: 4, available: true });
    expect(await find(null)).toEqual([]);
  });

  it('a late fix does not bring an offline driver back', async () => {
    await enter({ available: false });
    expect(await fix(2000)).toMatchObject({ kind: 'taken' });
    expect(await find(null)).toEqual([]);
  });

  it('takes the newest fix, ignores older ones, does not know strangers', async () => {
    await enter();
    expect(await fix(2000, 37.8)).toMatchObject({ kind: 'taken' });
    expect(await fix(1500, 37.9)).toMatchObject({ kind: 'ignored' });
    expect(await redis.hget(keys.fixes(zone), 'd1')).toBe('37.8 -122.41 2000 90');
    expect(await fix(2000, 37.8, 'stranger')).toMatchObject({ kind: 'absent' });
    expect(await redis.hexists(keys.fixes(zone), 'stranger')).toBe(0);
  });

  it('says when somebody is heard of again after he had gone stale', async () => {
    await enter();
    expect(await fix(2000)).toMatchObject({ wasStale: false });
    await redis.zadd(keys.seen(zone), Date.now() - 200_000, 'd1');
    expect(await fix(3000)).toMatchObject({ wasStale: true });
  });

  it('leaves nothing behind', async () => {
    await enter();
    await leaveZone(redis, { zone, id: 'd1', at: 2000 });
    expect(await find(null)).toEqual([]);
    expect(await redis.hlen(keys.roster(zone))).toBe(0);
    expect(await redis.hlen(keys.fixes(zone))).toBe(0);
    expect(await redis.zcard(keys.seen(zone))).toBe(0);
  });
});
