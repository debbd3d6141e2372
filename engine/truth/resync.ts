/**
 * Resync: all that Redis holds of jobs and drivers is compared with Postgres, which wins also where it went
 * back. Those concerned are told. Safe at any time, twice at once, and beside live traffic.
 */
import type { EngineContext } from '../context.ts';
import { listOpenZones } from '../pg/work-lists.ts';
import { type Comparison, compareJobs } from '../projection/compare.ts';
import { runIdOf } from '../redis/client.ts';
import { scanDrivers } from '../redis/driver-zones.ts';
import { scanHeldJobs } from '../redis/held-jobs.ts';
import { keys } from '../redis/keys.ts';

/** What was mended, in numbers. */
export interface Resynced {
  /** Jobs whose rows were behind Redis. */
  raised: number;
  /** Jobs that Redis held and Postgres does not know. */
  gone: number;
  /** Drivers of whom Redis held what their rows do not say. */
  drivers: number;
  /** Drivers whom Redis had lost somewhere, or had not heard of yet. */
  repaired: number;
  /** Jobs and drivers looked at. */
  compared: number;
}

/** Ends early, with what was mended until then, when the signal says so. */
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

/** First of all, that nobody who may not is offered what follows. */
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
