/**
 * The life of a zone in Redis: it is filled from Postgres when somebody needs it, compared now and then,
 * and ends by itself an hour after the last write. Safe to run twice, at once in several processes and
 * beside live traffic: everything it writes is ordered by version.
 */
import { randomUUID } from 'node:crypto';
import { type Resources, TryAgainError } from '../context.ts';
import type { Zone } from '../domain/zones.ts';
import { findJobs, listOpenJobs } from '../pg/jobs.ts';
import { runIdOf } from '../redis/client.ts';
import { ZONE_TTL_S } from '../redis/job-scripts.ts';
import { keys, zoneLog } from '../redis/keys.ts';
import { endRebuild, markRebuild } from '../redis/log-scripts.ts';
import { inTime, isNews, putRows } from './put.ts';

/** Rows of jobs read at once: tens of milliseconds, however many are open in the zone. */
const JOBS_PAGE = 1000;
/** A zone that is lost again while it is being used is tried so often, then the caller may. */
const ATTEMPTS = 3;

export interface Zones {
  /** Runs `work`; while it says `not_ready` the zone is rebuilt and the work is tried again. */
  inZone<T>(zone: Zone, work: () => Promise<T | 'not_ready'>): Promise<Exclude<T, 'not_ready'>>;
  /**
   * Brings a zone to Postgres: every open job, and whatever Redis wrongly holds open; then it is
   * ready. A zone that is ready already is only compared, which costs a look at each job.
   */
  rebuild(zone: Zone): Promise<void>;
}

export function createZones(resources: Resources): Zones {
  /** One rebuild of a zone at a time in this process; who comes meanwhile waits for the same one. */
  const underWay = new Map<Zone, Promise<void>>();

  function rebuild(zone: Zone): Promise<void> {
    let running = underWay.get(zone);
    if (!running) {
      running = rebuildZone(resources, zone).finally(() => underWay.delete(zone));
      underWay.set(zone, running);
    }
    return running;
  }

  return {
    rebuild,
    async inZone<T>(zone: Zone, work: () => Promise<T | 'not_ready'>) {
      for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
        const result = await work();
        if (result !== 'not_ready') return result as Exclude<T, 'not_ready'>;
        await rebuild(zone);
      }
      throw new TryAgainError(`zone ${zone} does not stay ready`);
    },
  };
}

/** Redis is read first: what it held open then is in Postgres by now. */
async function rebuildZone(resources: Resources, zone: Zone): Promise<void> {
  const { db, redis, metrics, log } = resources;
  // Before anything is read: should the server change meanwhile, the zone is not ready on it.
  const run = runIdOf(redis);
  const before = await redis.hget(zoneLog(zone).meta, 'ready');
  const rebuilding = before !== run;
  const token = randomUUID();
  if (rebuilding) await markRebuild(redis, zoneLog(zone), token);
  const held = await redis.zrange(keys.openJobs(zone), '0', '-1');
  const open = await inTime(listOpenJobs(db, zone));
  const ids = [...new Set([...open, ...held])];
  let repaired = 0;
  for (let i = 0; i < ids.length; i += JOBS_PAGE) {
    const rows = await inTime(findJobs(db, ids.slice(i, i + JOBS_PAGE)));
    const answers = await putRows(resources, rows, { run, rebuilding });
    repaired += answers.filter(isNews).length;
  }
  if (rebuilding) {
    await redis.sadd(keys.zones, zone);
    await endRebuild(redis, zoneLog(zone), { token, run, ttlS: ZONE_TTL_S });
  }
  if (repaired === 0) return;
  metrics.reconciled(rebuilding ? 'zone_rebuilt' : 'zone_swept');
  const found = before === null ? 'emptied' : rebuilding ? 'an older copy' : 'jobs out of date';
  log.info({ zone, found, repaired, open: open.length }, 'zone brought to Postgres');
}
