/**
 * The sweep compares every zone that holds something with Postgres, whether or not anything seems wrong.
 * A zone that holds nothing any more is taken off the list; its keys expire by themselves.
 */
import type { EngineContext } from '../context.ts';
import { forgetIdempotencyKeys } from '../pg/idempotency.ts';
import { listOpenZones } from '../pg/work-lists.ts';
import { driversLog, keys, usersLog, zoneLog } from '../redis/keys.ts';
import { keepLog, trimLog } from '../redis/log-scripts.ts';
import { type Duty, forEach } from './duty.ts';

/** Contract section 12: Redis follows a Postgres that went back within a minute, the sweep included. */
const EVERY_MS = 45_000;
const KEYS_BATCH = 2000;

export function sweepDuty(ctx: EngineContext): Duty {
  return {
    name: 'swept',
    everyMs: EVERY_MS,
    repairs: false,
    async run(signal) {
      const [open, filled] = await Promise.all([
        listOpenZones(ctx.db),
        ctx.redis.smembers(keys.zones),
      ]);
      const zones = new Set([...open, ...filled]);
      await forEach([...zones], signal, async (zone) => {
        if (await isEmpty(ctx, zone, open.includes(zone))) return false;
        await ctx.projection.rebuild(zone);
        await keepLog(ctx.redis, zoneLog(zone));
      });
      for (const log of [driversLog, usersLog]) await trimLog(ctx.redis, log);
      await forgetIdempotencyKeys(ctx.db, KEYS_BATCH);
      return 0;
    },
  };
}

/** Neither open jobs nor drivers: there is nothing to compare. */
async function isEmpty(ctx: EngineContext, zone: string, hasJobs: boolean): Promise<boolean> {
  if (hasJobs || (await holdsSomething(ctx, zone))) return false;
  await ctx.redis.srem(keys.zones, zone);
  // Another process may have filled the zone after the look and listed it before the removal.
  if (!(await holdsSomething(ctx, zone))) return true;
  await ctx.redis.sadd(keys.zones, zone);
  return false;
}

async function holdsSomething({ redis }: EngineContext, zone: string): Promise<boolean> {
  const [jobs, drivers] = await Promise.all([
    redis.zcard(keys.openJobs(zone)),
    redis.hlen(keys.roster(zone)),
  ]);
  return jobs > 0 || drivers > 0;
}
