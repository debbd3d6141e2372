/**
 * Fills an empty Redis with the drivers of Postgres. Safe to run twice, at once in several processes and
 * beside live traffic: everything it writes is ordered by rev.
 */
import { randomUUID } from 'node:crypto';
import { listDrivers } from '../pg/drivers.ts';
import { inTime } from '../projection/put.ts';
import { runIdOf } from '../redis/client.ts';
import { driversLog, usersLog } from '../redis/keys.ts';
import { endRebuild, markRebuild } from '../redis/log-scripts.ts';
import type { DriverStores } from './parts.ts';
import { syncDriverRow } from './sync.ts';

const PAGE = 500;

/**
 * Makes sure that Redis knows the drivers. After a loss all who are at work are put back; an older copy of
 * Redis may still show others as at work, so then all drivers are put. One run at a time: callers that come
 * meanwhile wait for the same one.
 */
export function createFill(parts: DriverStores): () => Promise<void> {
  let running: Promise<void> | null = null;
  return async () => {
    const run = runIdOf(parts.redis);
    const before = await parts.redis.hget(driversLog.meta, 'ready');
    if (before === run) return;
    running ??= fill(parts, run, before === null).finally(() => {
      running = null;
    });
    return running;
  };
}

async function fill(parts: DriverStores, run: string, onlyAtWork: boolean): Promise<void> {
  const token = randomUUID();
  await markRebuild(parts.redis, driversLog, token);
  let afterId = '';
  let count = 0;
  for (;;) {
    const page = await inTime(listDrivers(parts.db, { afterId, onlyAtWork, limit: PAGE }));
    await Promise.all(page.map((row) => syncDriverRow(parts, row)));
    count += page.length;
    const last = page.at(-1);
    if (!last || page.length < PAGE) break;
    afterId = last.id;
  }
  await parts.redis.hset(usersLog.meta, 'ready', run);
  await endRebuild(parts.redis, driversLog, { token, run });
  if (count > 0) parts.log.info({ drivers: count }, 'drivers filled from Postgres');
}
