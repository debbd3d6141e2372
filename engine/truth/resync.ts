/**
 * Resync compares all that Redis holds of jobs and drivers with Postgres, which wins even if it went back.
 * People are told. Safe at any time, twice at once, and beside live traffic.
 */
import type { EngineContext } from '../context.ts';
import { listOpenZones } from '../pg/work-lists.ts';
import { type Comparison, compareJobs } from '../projection/compare.ts';
import { runIdOf } from '../redis/client.ts';
import { scanDrivers } from '../redis/driver-zones.ts';
import { scanHeldJobs } from '../redis/held-jobs.ts';
import { keys } from '../redis/keys.ts';

/** How much was mended. */
export interface Resynced {
  /** Jobs whose rows were behind Redis. */
  raised: number;
  /** Jobs that Redis held and Postgres does not know. */
  gone: number;
  /** Drivers whose rows were behind Redis. */
  drivers: number;
  /** Drivers whom Redis had lost somewhere, or did not know yet. */
  repaired: number;
  /** Jobs and drivers compared at once. */
  compared: number;
}

/** Ends early, with what was mended until then, when the signal aborts. */
export async function resync(ctx: EngineContext, signal?: AbortSignal): Promise<Resynced> {
  const drivers = await resyncDrivers(ctx, signal);
  const jobs = await resyncJobs(ctx, signal);
  for (const id of jobs.raised) ctx.settler.wake(id);
  return {
    raised: jobs.raised.size,
    gone: jobs.gone.length,
    drivers: drivers.mended,
    repaired: drivers.repaired,
    compared: jobs.compared + drivers.compared,
  };
}

/** Drivers come first, so that what follows is offered only to those who may take it. */
async function resyncDrivers(ctx: EngineContext, signal?: AbortSignal) {
  let [mended, compared] = [0, 0];
  for await (const ids of scanDrivers(ctx.redis)) {
    if (signal?.aborted) break;
    mended += await ctx.drivers.mend(ids);
    compared += ids.length;
  }
  const repaired = signal?.aborted ? 0 : await ctx.drivers.sweep(signal);
  return { mended, repaired, compared };
}

async function resyncJobs(ctx: EngineContext, signal?: AbortSignal) {
  const raised = new Set<string>();
  const gone: Comparison['gone'] = [];
  let compared = 0;
  for await (const jobs of scanHeldJobs(ctx.redis)) {
    if (signal?.aborted) break;
    const run = runIdOf(ctx.redis);
    const found = await compareJobs(ctx, jobs);
    await ctx.projection.putAll(found.raised, run);
    for (const { id } of found.raised) raised.add(id);
    gone.push(...found.gone);
    compared += jobs.length;
  }
  const zones = new Set([
    ...(await ctx.redis.smembers(keys.zones)),
    ...(await listOpenZones(ctx.db)),
  ]);
  for (const zone of zones) {
    if (signal?.aborted) break;
    const found = await ctx.projection.rebuild(zone);
    for (const id of found.raised) raised.add(id);
    gone.push(...found.gone);
  }
  return { raised, gone, compared };
}
