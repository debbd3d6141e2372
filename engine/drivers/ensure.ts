/** Fills an empty Redis with the drivers, or brings an older copy of it to Postgres. */
import { randomUUID } from 'node:crypto';
import type { EngineContext } from '../context.ts';
import { listDrivers } from '../pg/drivers.ts';
import { inTime } from '../projection/put.ts';
import { runIdOf } from '../redis/client.ts';
import { driversLog, usersLog } from '../redis/keys.ts';
import { endRebuild, markRebuild } from '../redis/log-scripts.ts';
import { syncDriverRow } from './profile.ts';

const DRIVERS_PAGE = 500;
const underWay = new WeakMap<EngineContext, Promise<void>>();

export async function ensureDrivers(ctx: EngineContext): Promise<void> {
  const run = runIdOf(ctx.redis);
  const before = await ctx.redis.hget(driversLog.meta, 'ready');
  if (before === run) return;
  let running = underWay.get(ctx);
  if (!running) {
    running = fill(ctx, run, before).finally(() => underWay.delete(ctx));
    underWay.set(ctx, running);
  }
  return running;
}

async function fill(ctx: EngineContext, run: string, before: string | null): Promise<void> {
  const token = randomUUID();
  await markRebuild(ctx.redis, driversLog, token);
  let afterId = '';
  let count = 0;
  for (;;) {
    const query = { afterId, onlineOnly: before === null, limit: DRIVERS_PAGE };
    const page = await inTime(listDrivers(ctx.db, query));
    await Promise.all(page.map((row) => syncDriverRow(ctx, row)));
    count += page.length;
    const last = page.at(-1);
    if (!last || page.length < DRIVERS_PAGE) break;
    afterId = last.id;
  }
  await ctx.redis.hset(usersLog.meta, 'ready', run);
  await endRebuild(ctx.redis, driversLog, { token, run });
  if (count > 0) ctx.log.info({ drivers: count }, 'drivers filled from Postgres');
}
