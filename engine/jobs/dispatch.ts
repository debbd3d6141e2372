/**
 * Dispatch: chooses a wave's candidates, freezes them in Postgres and hands the wave to the push
 * lane. Sockets need no list: gateways filter by the same rule. Safe to repeat: candidates are
 * frozen once, and a second push task for the same wave pushes no driver twice.
 */
import type { EngineContext } from '../context.ts';
import { positionOf } from '../domain/because.ts';
import type { JobRow } from '../domain/job.ts';
import { listRefusals } from '../pg/drivers.ts';
import { type Candidate, findWave, markDispatched, saveCandidates } from '../pg/waves.ts';

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

/** `dispatchWave` where the answer does not depend on it: a failure is left to maintenance. */
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

/** The drivers who are pushed, nearest first, up to the push cap; `count` is how many were found. */
export async function chooseCandidates(
  ctx: EngineContext,
  row: JobRow,
): Promise<{ candidates: Candidate[]; count: number }> {
  const refusals = await listRefusals(ctx.db, [row.id]);
  return ctx.drivers.nearest({
    position: positionOf(row),
    radiusKm: row.radiusKm,
    truckType: row.truckType,
    wanted: ctx.settings.pushMaxCandidates,
    without: new Set(refusals.map(({ driverId }) => driverId)),
  });
}
