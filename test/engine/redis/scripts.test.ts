/** Every Lua script against a real Redis: what it answers, what it writes, what it leaves alone. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { WORLD } from '../../../engine/domain/zones.ts';
import { findCandidates, listCandidates, readPositions } from '../../../engine/redis/candidates.ts';
import {
  connectRedis,
  connectSubscriber,
  type RedisClient,
  runIdOf,
  whenReady,
} from '../../../engine/redis/client.ts';
import {
  indexDriver,
  leaveZone,
  moveDriver,
  putDriver,
  track,
} from '../../../engine/redis/driver-scripts.ts';
import {
  claimJob,
  type PutJobArgs,
  putJob,
  readJobs,
  refuseJob,
  unclaimJob,
} from '../../../engine/redis/job-scripts.ts';
import { driversLog, keys, zoneLog } from '../../../engine/redis/keys.ts';
import { appendLog } from '../../../engine/redis/log-scripts.ts';
import { checkOffer } from '../../../engine/redis/offer-script.ts';
import { emptyRedis } from '../../support/redis-keys.ts';
import { freshRedis, type OwnRedis } from '../../support/servers.ts';

const zone = '832830fffffffff';
const id = `${zone}-01a20896-d00c-7e62-8ecc-8ab597901a80`;
const log = zoneLog(zone);
let server: OwnRedis;
let redis: RedisClient;

beforeAll(async () => {
  server = await freshRedis();
  redis = connectRedis(server.url, () => {});
  await whenReady(redis, 10_000);
});
afterAll(async () => {
  redis.disconnect();
  await server.stop();
});
beforeEach(async () => {
  await emptyRedis(redis);
  await redis.hset(log.meta, 'ready', runIdOf(redis));
});

const put = (change: Partial<PutJobArgs> = {}) =>
  putJob(redis, {
    zone,
    id,
    version: 1,
    wave: 1,
    claimable: true,
    status: 'pending',
    driverId: null,
    position: { lat: 37.77, lng: -122.41 },
    payload: JSON.stringify({ job: { id }, wave: 1, radiusKm: 30 }),
    expiresAt: null,
    refusals: [],
    rebuilding: false,
    readUnder: runIdOf(redis),
    ...change,
  });
const closed = { claimable: false, status: 'accepted', driverId: 'd1' };
const claim = (driverId: string, token: string, leaseMs = 5000) =>
  claimJob(redis, { zone, id, driverId, token, leaseMs });
const entries = async () =>
  (await redis.xrange(log.log, '-', '+')).map(([entry, fields]) => ({
    id: entry,
    prev: fields[1],
    body: JSON.parse(fields[3] ?? '') as Record<string, unknown>,
  }));

describe('put-job', () => {
  it('does nothing in a zone that is not ready, unless it is being rebuilt', async () => {
    await redis.del(log.meta);
    expect(await put()).toBe('not_ready');
    expect(await redis.exists(keys.job(zone, id))).toBe(0);
    expect(await put({ rebuilding: true })).toBe('applied');
  });

  it('takes no open job that it does not know, unless the row was just read', async () => {
    expect(await put({ version: 1, readUnder: null })).toBe('unknown');
    expect(await put({ version: 2, readUnder: null })).toBe('unknown');
    expect(await put({ version: 2, readUnder: 'another run' })).toBe('not_ready');
    expect(await entries()).toHaveLength(0);
    expect(await put({ version: 2 })).toBe('applied');
    expect(await put({ version: 3, readUnder: null })).toBe('applied');
  });

  it('names few refusals in an entry, however many there are', async () => {
    const refusals = Array.from({ length: 51 }, (_, i) => [`d${i}`, 'declined'] as const);
    await put({ refusals: refusals.slice(0, 50) });
    await put({ version: 2, refusals });
    const [few, many] = await entries();
    expect(few?.body.refused).toHaveLength(100);
    expect(many?.body).toMatchObject({ open: { job: { id } }, more: true });
    expect(many?.body.refused).toBeUndefined();
  });

  it('makes an open job findable and says so in the log', async () => {
    expect(await put({ refusals: [['d9', 'declined']] })).toBe('applied');
    expect(await redis.zscore(keys.openJobs(zone), id)).not.toBeNull();
    expect(await redis.hgetall(keys.declined(zone, id))).toEqual({ d9: 'declined' });
    const [entry] = await entries();
    expect(entry?.body).toMatchObject({ open: { job: { id } }, refused: ['d9', 'declined'] });
    expect(await redis.hget(log.meta, 'last')).toBe(entry?.id);
  });

  it('closes a job: out of the search, a tombstone for an hour, an entry', async () => {
    await put();
    expect(await put({ version: 2, ...closed })).toBe('applied');
    expect(await redis.zscore(keys.openJobs(zone), id)).toBeNull();
    expect(await redis.ttl(keys.job(zone, id))).toBeGreaterThan(3000);
    const [first, second] = await entries();
    expect(second?.prev).toBe(first?.id);
    expect(second?.body).toEqual({ closed: { id, version: 2, status: 'accepted', driver: 'd1' } });
  });

  it.each([
    ['the same version', 2],
    ['an older version', 1],
  ])('ignores %s', async (_what, version) => {
    await put({ version: 2, ...closed });
    expect(await put({ version })).toBe('old');
    expect(await redis.zscore(keys.openJobs(zone), id)).toBeNull();
    expect(await entries()).toHaveLength(1);
  });

  it('reopens under a higher version, for good: no lifetime is left', async () => {
    await put({ version: 2, ...closed });
    expect(await put({ version: 3 })).toBe('applied');
    expect(await redis.ttl(keys.job(zone, id))).toBe(-1);
    expect((await claim('d2', 't')).kind).toBe('granted');
  });

  it('ends a claim in progress', async () => {
    await put();
    await claim('d1', 't1');
    await put({ version: 2 });
    expect(await redis.zcard(keys.claims(zone))).toBe(0);
    expect(await claim('d2', 't2')).toEqual({ kind: 'granted', version: 2 });
  });
});

describe('claim-job', () => {
  it('grants one, makes the others wait, and knows its own', async () => {
    await put({ version: 4 });
    expect(await claim('d1', 't1')).toEqual({ kind: 'granted', version: 4 });
    expect(await claim('d2', 't2')).toEqual({ kind: 'busy' });
    expect(await claim('d1', 't3')).toEqual({ kind: 'mine', version: 4 });
    expect(await redis.zscore(keys.claims(zone), id)).not.toBeNull();
  });

  it('asks Postgres about a job it does not know', async () => {
    expect(await claim('d1', 't1')).toEqual({ kind: 'ask' });
  });

  it('says that the zone is not ready', async () => {
    await put();
    await redis.hdel(log.meta, 'ready');
    expect(await claim('d1', 't1')).toEqual({ kind: 'not_ready' });
  });

  it('refuses a settled job with its status; its holder must ask the row', async () => {
    await put({ ...closed });
    expect(await claim('d2', 't')).toEqual({
      kind: 'closed',
      status: 'accepted',
      driverId: 'd1',
    });
    expect(await claim('d1', 't')).toEqual({ kind: 'own', version: 1 });
  });

  it('bars who released it, not who declined it', async () => {
    await put({
      refusals: [
        ['d1', 'released'],
        ['d2', 'declined'],
      ],
    });
    expect(await claim('d1', 't')).toEqual({ kind: 'released' });
    expect((await claim('d2', 't')).kind).toBe('granted');
  });

  it('keeps a reserved job for its driver', async () => {
    await put({ status: 'assigned', driverId: 'd1' });
    expect(await claim('d2', 't')).toEqual({ kind: 'reserved' });
    expect((await claim('d1', 't')).kind).toBe('granted');
  });
});

describe('unclaim-job', () => {
  it('opens its own attempt again and tells nobody: the job never left a feed', async () => {
    await put();
    await claim('d1', 't1');
    const before = (await entries()).length;
    expect(await unclaimJob(redis, { zone, id, token: 't1' })).toBe(true);
    expect(await entries()).toHaveLength(before);
    expect((await claim('d2', 't2')).kind).toBe('granted');
  });

  it('leaves the attempt of somebody else alone', async () => {
    await put();
    await claim('d1', 't1');
    expect(await unclaimJob(redis, { zone, id, token: 'old' })).toBe(false);
    expect((await claim('d2', 't2')).kind).toBe('busy');
  });
});

describe('refuse-job', () => {
  const refuse = (driverId: string, kind: 'declined' | 'released') =>
    refuseJob(redis, { zone, id, driverId, kind });

  it('is remembered and logged', async () => {
    await put();
    expect(await refuse('d1', 'declined')).toBe('applied');
    expect((await entries()).at(-1)?.body).toEqual({
      refused: { id, driver: 'd1', kind: 'declined' },
    });
  });

  it('does not turn a release into a decline', async () => {
    await put({ refusals: [['d1', 'released']] });
    expect(await refuse('d1', 'declined')).toBe('nothing');
    expect(await redis.hget(keys.declined(zone, id), 'd1')).toBe('released');
  });

  it('has nothing to do with a job that is settled or unknown', async () => {
    expect(await refuse('d1', 'declined')).toBe('nothing');
    await put({ ...closed });
    expect(await refuse('d2', 'declined')).toBe('nothing');
    await redis.del(log.meta);
    expect(await refuse('d2', 'declined')).toBe('not_ready');
  });
});

describe('read-jobs', () => {
  it('reads all, or those around a position, with refusals and the end of the log', async () => {
    await put({ refusals: [['d1', 'declined']] });
    const all = await readJobs(redis, zone, null);
    expect(all).toEqual({
      ready: true,
      last: (await entries()).at(-1)?.id,
      jobs: [
        {
          payload: JSON.stringify({ job: { id }, wave: 1, radiusKm: 30 }),
          refused: ['d1', 'declined'],
        },
      ],
    });
    const near = { lat: 37.8, lng: -122.4, radiusKm: 10 };
    expect((await readJobs(redis, zone, near)).jobs).toHaveLength(1);
    expect((await readJobs(redis, zone, { ...near, radiusKm: 1 })).jobs).toHaveLength(0);
  });

  it('says when the zone is not ready', async () => {
    await redis.del(log.meta);
    expect(await readJobs(redis, zone, null)).toEqual({ ready: false, last: '0-0', jobs: [] });
  });
});

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

describe('check-offer', () => {
  const check = (wave = 1, reservedFor: string | null = null) =>
    checkOffer(redis, { zone, jobId: id, wave, reservedFor });

  it('says that a job is open in its wave, and in no earlier one', async () => {
    await put();
    expect(await check(1)).toBe('open');
    await put({ version: 2, wave: 2 });
    expect(await check(1)).toBe('closed');
    expect(await check(2)).toBe('open');
  });

  it('is closed for a job that is taken or out of time, and does not know one that is missing', async () => {
    expect(await check()).toBe('unknown');
    await put({ expiresAt: Date.now() - 1000 });
    expect(await check()).toBe('closed');
    await put({ version: 2, ...closed });
    expect(await check()).toBe('closed');
  });

  it('waits while a claim is being decided', async () => {
    await put();
    await claim('d1', 't1');
    expect(await check()).toBe('claiming');
  });

  it('says that the job is reserved by now, but not to who knows for whom', async () => {
    await put({ status: 'assigned', driverId: 'd1' });
    expect(await check(1)).toBe('reserved');
    expect(await check(1, 'd2')).toBe('reserved');
    expect(await check(1, 'd1')).toBe('open');
  });

  it('says that the zone is not ready', async () => {
    await put();
    await redis.hset(log.meta, 'ready', 'another run');
    expect(await check()).toBe('not_ready');
  });
});

describe('append-log', () => {
  it('chains its entries and tells the channel the same', async () => {
    const listener = connectSubscriber(server.url, () => {});
    await whenReady(listener, 10_000);
    const heard: string[] = [];
    listener.on('smessage', (_channel: string, message: string) => heard.push(message));
    await listener.ssubscribe(driversLog.live);
    const first = await appendLog(redis, driversLog, ['{"a":1}']);
    const second = await appendLog(redis, driversLog, ['{"a":2}']);
    await expect
      .poll(() => heard)
      .toEqual([`log ${first} 0-0 {"a":1}`, `log ${second} ${first} {"a":2}`]);
    expect(await redis.hget(driversLog.meta, 'last')).toBe(second);
    listener.disconnect();
  });
});
