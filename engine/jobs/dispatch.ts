/**
 * Dispatch: chooses a wave's candidates, freezes them in Postgres and hands the wave to the push
 * lane. Sockets need no list: gateways filter by the same rule. Safe to repeat: candidates are
 * frozen once, and a second push task for the same wave pushes no driver twice.
 */
import type { EngineContext } from '../context.ts';
import { distanceKm } from '../domain/distance.ts';
import type { JobRow } from '../domain/job.ts';
import { WORLD, zonesWithin } from '../domain/zones.ts';
import { listRefusals } from '../pg/drivers.ts';
import { type Candidate, findWave, markDispatched, saveCandidates } from '../pg/waves.ts';
import { findCandidates } from '../redis/driver-scripts.ts';

/** The first ring; a plain search of the whole circle costs time with every driver in the city. */
const FIRST_RING_KM = 2;
/** Redis rounds positions by up to a metre: search a little wider, the exact rule decides. */
const SEARCH_MARGIN = 1.01;
/** Half way around the world, for jobs without a position. */
const EVERYWHERE_KM = 20_100;

/** Dispatches the row's current wave. Throws when Redis or Postgres is away. */
export async function dispatchWave(ctx: EngineContext, row: JobRow): Promise<void> {
  const started = performance.now();
  const wave = await findWave(ctx.db, row.id, row.wave);
  if (!wave || wave.dispatched) return;
  if (!wave.chosen) {
    await ctx.drivers.ensure();
    const { candidates, count } = await chooseCandidates(ctx, row);
    await saveCandidates(ctx.db, row.id, row.wave, candidates, count);
    ctx.metrics.dispatch((performance.now() - started) / 1000, count);
  }
  await ctx.push.enqueueWave(row.id, row.wave);
  await markDispatched(ctx.db, row.id, row.wave);
}

/** `dispatchWave` where the answer does not depend on it: a failure is left to the reconciler. */
export async function tryDispatchWave(ctx: EngineContext, row: JobRow): Promise<void> {
  try {
    await dispatchWave(ctx, row);
  } catch (error) {
    ctx.log.warn(
      { err: error, job: row.id, wave: row.wave },
      'wave not dispatched, will be repeated',
    );
  }
}

/** Who is offered the job, nearest first, up to the push cap; `count` is how many were found. */
export async function chooseCandidates(
  ctx: EngineContext,
  row: JobRow,
): Promise<{ candidates: Candidate[]; count: number }> {
  const cap = ctx.settings.pushMaxCandidates;
  const refused = new Set((await listRefusals(ctx.db, [row.id])).map((r) => r.driverId));
  let found: Candidate[] = [];
  for (const ringKm of rings(row)) {
    found = (await searchRing(ctx, row, ringKm)).filter((c) => !refused.has(c.driverId));
    if (found.length >= cap) break;
  }
  return { candidates: found.slice(0, cap), count: found.length };
}

/** 2, 4, 8 … km up to the job's radius: the cost follows the offers made, not the city. */
function* rings(row: JobRow): Generator<number> {
  if (row.lat === null) {
    yield EVERYWHERE_KM;
    return;
  }
  for (let km = FIRST_RING_KM; km < row.radiusKm; km *= 2) yield km;
  yield row.radiusKm;
}

async function searchRing(ctx: EngineContext, row: JobRow, ringKm: number): Promise<Candidate[]> {
  const here = row.lat === null || row.lng === null ? null : { lat: row.lat, lng: row.lng };
  const zones = here ? zonesWithin(here, ringKm * SEARCH_MARGIN) : [WORLD];
  const hits = await Promise.all(
    zones.map((zone) =>
      findCandidates(ctx.redis, {
        zone,
        truckType: row.truckType,
        lat: here?.lat ?? 0,
        lng: here?.lng ?? 0,
        radiusKm: ringKm * SEARCH_MARGIN,
        staleMs: ctx.settings.driverStaleMs,
      }),
    ),
  );
  const nearest = new Map<string, number>();
  for (const hit of hits.flat()) {
    const km = here ? distanceKm(here, hit) : 0;
    if (here && km > row.radiusKm) continue;
    nearest.set(hit.id, Math.min(km, nearest.get(hit.id) ?? km));
  }
  return [...nearest].map(([driverId, km]) => ({ driverId, km })).sort((a, b) => a.km - b.km);
}
