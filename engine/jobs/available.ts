/** The list of jobs that a driver is offered now: his feed must equal it. */

import type { EngineContext } from '../context.ts';
import { roundKm } from '../domain/because.ts';
import { distanceKm } from '../domain/distance.ts';
import type { Job } from '../domain/job.ts';
import { unavailableReason, visible } from '../domain/visibility.ts';
import { WORLD, zonesWithin } from '../domain/zones.ts';
import { RADIUS_KM_MAX } from '../process/config.ts';

import type { KnownDriver } from '../redis/drivers.ts';
import { type OfferedJob, readOpenJobs } from '../redis/open-jobs.ts';

/** Redis rounds positions by up to a metre; the exact rule decides afterwards. */
const SEARCH_KM = RADIUS_KM_MAX * 1.01;

/** Nearest first; jobs without a position come last. */
export async function listAvailable(ctx: EngineContext, driver: KnownDriver): Promise<Job[]> {
  const now = ctx.now();
  if (unavailableReason(driver, now, ctx.settings)) return [];
  const around = driver.position;
  const zones = around ? [...zonesWithin(around, RADIUS_KM_MAX), WORLD] : [WORLD];
  const found = await Promise.all(
    zones.map((zone) =>
      ctx.projection.inZone<OfferedJob[]>(zone, async () => {
        const search = zone === WORLD || !around ? null : { ...around, radiusKm: SEARCH_KM };
        return (await readOpenJobs(ctx.redis, zone, search))?.jobs ?? 'not_ready';
      }),
    ),
  );
  return found
    .flat()
    .filter((job) => visible(driver, job, now, ctx.settings))
    .map((job) => ({
      ...job.job,
      ...(around && job.position && { distance_km: roundKm(distanceKm(around, job.position)) }),
    }))
    .sort((a, b) => (a.distance_km ?? Infinity) - (b.distance_km ?? Infinity));
}
