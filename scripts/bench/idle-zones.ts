/**
 * What a worker asks of Redis while nothing happens, an hour after jobs all over the world were over, beside
 * a worker of a deployment without a past.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { cellToChildren, cellToLatLng, getRes0Cells } from 'h3-js';
import type { Position } from '../../engine/domain/distance.ts';
import { connectRedis, type RedisClient, whenReady } from '../../engine/redis/client.ts';
import { pipelined } from '../../engine/redis/pipelines.ts';
import { type BenchLine, compare } from './bench-line.ts';
import { progress, ROUNDS, WARM_UP_ROUNDS } from './rounds.ts';
import {
  allSettled,
  onOwnStores,
  postJob,
  type Stores,
  startEngine,
  startWorker,
} from './stack.ts';

const ZONES = 10_000;
const ZONE_RESOLUTION = 3;
/** Where GEO has no positions. */
const LATITUDE_MAX = 85;
/** The slowest duty comes once a minute. */
const WINDOW_MS = 60_000;
const AT_ONCE = 64;
const SCAN_COUNT = 1000;
const READY_MS = 10_000;

export function runIdleZones(): Promise<BenchLine> {
  return onOwnStores('touched', (touched) =>
    onOwnStores('fresh', async (fresh) => {
      const redis = [touched, fresh].map(({ redisUrl }) => connectRedis(redisUrl, () => {}));
      const [ours, peer] = redis as [RedisClient, RedisClient];
      await Promise.all(redis.map((one) => whenReady(one, READY_MS)));
      await touchZones(touched);
      const keysLeft = await anHourLater(ours);
      const workers = [await startWorker(touched), await startWorker(fresh)];
      const rates = await ratesOf(ours, peer);
      await Promise.all(workers.map(({ stop }) => stop()));
      for (const one of redis) one.disconnect();
      return compare(rates.ours, rates.peer, {
        bench: `idle: a worker where ${ZONES} zones were touched an hour ago, none touched`,
        unit: 'Redis commands/s',
        bottleneck: 'none: what Redis counts',
        notes: { zones: ZONES, keys_left: keysLeft },
      });
    }),
  );
}

/** A job in each, which is over. */
async function touchZones(stores: Stores): Promise<void> {
  const { engine, close } = await startEngine(stores);
  const places = someZones();
  const lane = async () => {
    for (let at = places.pop(); at; at = places.pop()) {
      await engine.jobs.cancel(await postJob(engine, at), 'operator:bench', null);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  await allSettled(stores);
  await close();
}

function someZones(): Position[] {
  return getRes0Cells()
    .flatMap((cell) => cellToChildren(cell, ZONE_RESOLUTION))
    .map((cell) => cellToLatLng(cell))
    .filter(([lat]) => Math.abs(lat) < LATITUDE_MAX)
    .slice(0, ZONES)
    .map(([lat, lng]) => ({ lat, lng }));
}

/** Expires everything that would expire within an hour. Returns how many keys are left. */
async function anHourLater(redis: RedisClient): Promise<number> {
  let cursor = '0';
  do {
    const [next, found] = await redis.scan(cursor, 'MATCH', 'muster:*', 'COUNT', SCAN_COUNT);
    const ends = await pipelined(
      redis,
      found,
      (key) => key,
      (all, key) => all.ttl(key),
    );
    const ended = found.filter((_, i) => (ends[i] as number) > 0);
    if (ended.length > 0) await redis.unlink(...ended);
    cursor = next;
  } while (cursor !== '0');
  return redis.dbsize();
}

/** Both at the same time: a noisy moment hits them alike. */
async function ratesOf(ours: RedisClient, peer: RedisClient) {
  const rates = { ours: [] as number[], peer: [] as number[] };
  for (let round = 0; round < WARM_UP_ROUNDS + ROUNDS; round++) {
    progress(round);
    const before = [await commandsOf(ours), await commandsOf(peer)] as const;
    await sleep(WINDOW_MS);
    const after = [await commandsOf(ours), await commandsOf(peer)] as const;
    if (round < WARM_UP_ROUNDS) continue;
    rates.ours.push((after[0] - before[0]) / (WINDOW_MS / 1000));
    rates.peer.push((after[1] - before[1]) / (WINDOW_MS / 1000));
  }
  return rates;
}

async function commandsOf(redis: RedisClient): Promise<number> {
  return Number(/^total_commands_processed:(\d+)/m.exec(await redis.info('stats'))?.[1]);
}
