/**
 * `bench -- candidates`: who is offered a job, by the engine's rule (available, fresh, nearest first,
 * up to the cap), beside one plain search of the whole circle that knows nothing about drivers.
 */

import { chooseCandidates } from '../../engine/jobs/dispatch.ts';
import { listDrivers } from '../../engine/pg/drivers.ts';
import { findJob } from '../../engine/pg/jobs.ts';
import { type BenchLine, compare } from './bench-line.ts';
import { progress, ROUNDS, WARM_UP_ROUNDS } from './rounds.ts';
import { addDrivers, HERE, onOwnStores, postJob, type Stores, startEngine } from './stack.ts';

/** A large city's fleet at work. */
const DRIVERS = 10_000;
/** All of them within 30 km. */
const SPREAD_DEGREES = 0.4;
const RADIUS_KM = 30;
const SEARCHES = 200;
/** Jobs posted at once. */
const IN_FLIGHT = 8;
/** The peer's own set of the same positions. */
const RAW = 'bench:raw';

/** Starts its own Postgres and Redis; nothing else is needed. */
export function runCandidates(): Promise<BenchLine[]> {
  return onOwnStores('candidates', async (stores) => {
    await addDrivers(stores, DRIVERS, { online: true, spreadDegrees: SPREAD_DEGREES });
    return [await runAll(stores)];
  });
}

async function runAll(stores: Stores): Promise<BenchLine> {
  const { engine, close } = await startEngine(stores);
  const { ctx } = engine;
  await engine.drivers.ensure();
  const job = await findJob(ctx.db, await postJob(engine));
  if (!job) throw new Error('the job is not there');
  const all = await listDrivers(ctx.db, { afterId: '', onlyAtWork: true, limit: DRIVERS });
  await ctx.redis.geoadd(RAW, ...all.flatMap(({ id, lat, lng }) => [lng ?? 0, lat ?? 0, id]));
  const runs = { ours: [] as number[], peer: [] as number[] };
  let found = { ours: 0, peer: 0 };
  const search = async () => (await chooseCandidates(ctx, job)).candidates.length;
  const plain = async () => {
    const near = await ctx.redis.geosearch(
      RAW,
      'FROMLONLAT',
      HERE.lng,
      HERE.lat,
      'BYRADIUS',
      RADIUS_KM,
      'km',
      'ASC',
    );
    return near.length;
  };
  for (let round = 0; round < ROUNDS + WARM_UP_ROUNDS; round++) {
    progress(round);
    const ours = await measure(search);
    const peer = await measure(plain);
    found = { ours: ours.found, peer: peer.found };
    if (round < WARM_UP_ROUNDS) continue;
    runs.ours.push(ours.perSecond);
    runs.peer.push(peer.perSecond);
  }
  await close();
  return compare(runs.ours, runs.peer, {
    bench: `candidates: ${DRIVERS} drivers within ${RADIUS_KM} km, one plain GEOSEARCH`,
    unit: 'jobs/s',
    bottleneck: 'Redis (one core)',
    notes: { found_ours: found.ours, found_peer: found.peer, in_flight: IN_FLIGHT },
  });
}

/** Searches per second, and how many drivers the last one found. */
async function measure(search: () => Promise<number>): Promise<{
  perSecond: number;
  found: number;
}> {
  let left = SEARCHES;
  let found = 0;
  const lane = async () => {
    while (left-- > 0) found = await search();
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  return { perSecond: SEARCHES / ((performance.now() - started) / 1000), found };
}
