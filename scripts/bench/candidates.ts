/**
 * `bench -- candidates`: the nearest drivers that a wave needs (available, fresh, up to the cap), in cities
 * of three sizes, beside one plain search of the whole circle that knows nothing about drivers.
 */

import { Redis } from 'ioredis';
import type { Position } from '../../engine/domain/distance.ts';
import { zoneOf } from '../../engine/domain/zones.ts';
import type { Engine } from '../../engine/engine.ts';
import { keys } from '../../engine/redis/keys.ts';
import { type BenchLine, compare } from './bench-line.ts';
import { redisSeconds } from './redis-usage.ts';
import { progress, ROUNDS, WARM_UP_ROUNDS } from './rounds.ts';
import { HERE, onOwnStores, startEngine } from './stack.ts';

/** A town, a large city, and a fleet that no city has. */
const SIZES = [1000, 10_000, 100_000];
const RADIUS_KM = 30;
/** The default of `PUSH_MAX_CANDIDATES`. */
const WANTED = 500;
/** Half the width in degrees of the square with the drivers: all of them are within the radius. */
const SPREAD_DEGREES = 0.18;
const SEARCHES = 100;
/** Drivers put into the index by one command. */
const BATCH = 1000;
/** The peer's own set of the same positions. */
const RAW = 'bench:raw';

interface Place extends Position {
  id: string;
}

interface Run {
  perSecond: number;
  /** CPU of Redis for one search. */
  redisMs: number;
  /** By the last search. */
  found: number;
}

/** Starts its own Postgres and Redis; nothing else is needed. */
export function runCandidates(): Promise<BenchLine[]> {
  return onOwnStores('candidates', async (stores) => {
    const { engine, close } = await startEngine(stores);
    // Without the engine's deadlines: a plain search may take longer than any call would wait.
    const redis = new Redis(stores.redisUrl);
    try {
      const lines: BenchLine[] = [];
      for (const size of SIZES) lines.push(await runCity(engine, redis, size));
      return lines;
    } finally {
      redis.disconnect();
      await close();
    }
  });
}

async function runCity(engine: Engine, redis: Redis, size: number): Promise<BenchLine> {
  process.stderr.write(`  ${size} drivers\n`);
  await redis.flushall();
  const drivers = Array.from({ length: size }, (_, i) => ({ id: `d${i}`, ...somewhere() }));
  for (let i = 0; i < size; i += BATCH) await index(redis, drivers.slice(i, i + BATCH));
  const runs = { ours: [] as Run[], peer: [] as Run[] };
  let found = { ours: 0, peer: 0 };
  const ours = async (at: Position) => {
    const search = { position: at, radiusKm: RADIUS_KM, truckType: null, wanted: WANTED };
    return (await engine.drivers.nearest({ ...search, without: new Set() })).candidates.length;
  };
  const plain = async ({ lat, lng }: Position) => {
    const near = await redis.geosearch(
      ...([RAW, 'FROMLONLAT', lng, lat, 'BYRADIUS', RADIUS_KM, 'km', 'ASC'] as const),
    );
    return near.length;
  };
  for (let round = 0; round < ROUNDS + WARM_UP_ROUNDS; round++) {
    progress(round);
    const [a, b] = [await measure(redis, ours), await measure(redis, plain)];
    found = { ours: a.found, peer: b.found };
    if (round < WARM_UP_ROUNDS) continue;
    runs.ours.push(a);
    runs.peer.push(b);
  }
  const perSecond = (run: Run) => run.perSecond;
  const line = compare(runs.ours.map(perSecond), runs.peer.map(perSecond), {
    bench: `candidates: the nearest ${WANTED} of ${size} drivers, one plain GEOSEARCH of ${RADIUS_KM} km`,
    unit: 'searches/s',
    bottleneck: 'Redis (one core)',
    notes: { found_ours: found.ours, found_peer: found.peer },
  });
  for (const side of ['ours', 'peer'] as const) {
    line.notes[`${side}_ms`] = rounded(1000 / line[side]);
    // CPU time, which a busy machine blurs least.
    line.notes[`${side}_redis_ms`] = rounded(medianOf(runs[side].map((run) => run.redisMs)));
  }
  return line;
}

/** In the state that a fill of Redis and the first signs of life leave. */
async function index(redis: Redis, drivers: readonly Place[]): Promise<void> {
  const now = Date.now();
  await Promise.all(
    [...Map.groupBy(drivers, zoneOf)].flatMap(([zone, members]) => {
      const places = members.flatMap(({ id, lat, lng }) => [lng, lat, id]);
      return [
        redis.call('GEOADD', keys.candidates(zone, null), ...places),
        redis.zadd(keys.seen(zone), ...members.flatMap(({ id }) => [now, id])),
        redis.hset(
          keys.fixes(zone),
          Object.fromEntries(members.map(({ id, lat, lng }) => [id, `${lat} ${lng} ${now} -`])),
        ),
        redis.call('GEOADD', RAW, ...places),
      ];
    }),
  );
}

/** Searches around places of the city, one after the other. */
async function measure(redis: Redis, search: (at: Position) => Promise<number>): Promise<Run> {
  let found = 0;
  const usedBefore = await redisSeconds(redis);
  const started = performance.now();
  for (let i = 0; i < SEARCHES; i++) found = await search(somewhere());
  const seconds = (performance.now() - started) / 1000;
  const redisMs = ((await redisSeconds(redis)) - usedBefore) * (1000 / SEARCHES);
  return { perSecond: SEARCHES / seconds, redisMs, found };
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

/** A place in the city, evenly spread over a square around `HERE`. */
function somewhere(): Position {
  const beside = () => SPREAD_DEGREES * (2 * Math.random() - 1);
  return { lat: HERE.lat + beside(), lng: HERE.lng + beside() };
}
