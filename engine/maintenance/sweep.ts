/**
 * The sweep: every zone that holds something is compared with Postgres, whether or not anything seems wrong.
 * A zone that holds nothing any more is forgotten; its keys end by themselves.
 */
import type { EngineContext } from '../context.ts';
import { forgetIdempotencyKeys } from '../pg/idempotency.ts';
import { listOpenZones } from '../pg/work-lists.ts';
import { keys, zoneLog } from '../redis/keys.ts';
import { keepLog } from '../redis/log-scripts.ts';
import { type Duty, forEach } from './duty.ts';

const EVERY_MS = 60_000;
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
      await forgetIdempotencyKeys(ctx.db, KEYS_BATCH);
      return 0;
    },
  };
}

/** Neither open jobs nor drivers: there is nothing to compare. */
async function isEmpty(ctx: EngineContext, zone: string, hasJobs: boolean): Promise<boolean> {
  if (hasJobs) return false;
  const [jobs, drivers] = await Promise.all([
    ctx.redis.zcard(keys.openJobs(zone)),
    ctx.redis.hlen(keys.roster(zone)),
  ]);
  if (jobs > 0 || drivers > 0) return false;
  await ctx.redis.srem(keys.zones, zone);
  return true;
}
