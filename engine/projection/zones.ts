/**
 * The life of a zone in Redis: it is filled from Postgres when it is needed, compared now and then, and
 * expires an hour after the last write. Safe to run twice, at once in several processes and beside live
 * traffic: everything it writes is ordered by version.
 */
import { randomUUID } from 'node:crypto';
import { type Resources, TryAgainError } from '../context.ts';
import type { Zone } from '../domain/zones.ts';
import { listOpenJobs } from '../pg/jobs.ts';
import { runIdOf } from '../redis/client.ts';
import { ZONE_TTL_S } from '../redis/job-scripts.ts';
import { keys, zoneLog } from '../redis/keys.ts';
import { endRebuild, markRebuild } from '../redis/log-scripts.ts';
import { type Comparison, compareJobs } from './compare.ts';
import { inTime, isNews, putRows } from './put.ts';

/** Rows of jobs read at once: tens of milliseconds, however many are open in the zone. */
const JOBS_PAGE = 1000;
/** How often to retry a zone that is lost again while it is used; then the caller must try again. */
const ATTEMPTS = 3;

export interface Zones {
  /** Runs `work`; while it returns `not_ready`, rebuilds the zone and tries again. */
  inZone<T>(zone: Zone, work: () => Promise<T | 'not_ready'>): Promise<Exclude<T, 'not_ready'>>;
  /**
   * Brings a zone in line with Postgres: every open job, and jobs that Redis wrongly holds open; then
   * it is ready. A ready zone is only compared, which costs a look at each job.
   */
  rebuild(zone: Zone): Promise<Rebuilt>;
}

/** What Redis held and Postgres no longer knows: Postgres went back. */
export interface Rebuilt {
  /** Jobs whose rows were raised above what Redis held. */
  raised: string[];
  /** Jobs whose rows are gone. */
  gone: Comparison['gone'];
}

export function createZones(resources: Resources): Zones {
  /** One rebuild of a zone at a time in this process; callers that come meanwhile wait for it. */
  const underWay = new Map<Zone, Promise<Rebuilt>>();

  function rebuild(zone: Zone): Promise<Rebuilt> {
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

async function rebuildZone(resources: Resources, zone: Zone): Promise<Rebuilt> {
  const { redis } = resources;
  // Taken before anything is read: if the server changes meanwhile, the zone is not ready on the new one.
  const run = runIdOf(redis);
  const before = await redis.hget(zoneLog(zone).meta, 'ready');
  const rebuilding = before !== run;
  const token = randomUUID();
  if (rebuilding) await markRebuild(redis, zoneLog(zone), token);
  const filled = await fillZone(resources, zone, { run, rebuilding });
  // For the sweep, which may just have taken this zone off its list.
  if (filled.open > 0 || rebuilding) await redis.sadd(keys.zones, zone);
  if (rebuilding) await endRebuild(redis, zoneLog(zone), { token, run, ttlS: ZONE_TTL_S });
  const found = before === null ? 'emptied' : rebuilding ? 'an older copy' : 'jobs out of date';
  report(resources, zone, { ...filled, found, rebuilding });
  return filled;
}

interface Filled extends Rebuilt {
  open: number;
  repaired: number;
}

/** Every open job, and all that Redis holds open. Redis is read first: what it held is in Postgres by now. */
async function fillZone(
  resources: Resources,
  zone: Zone,
  { run, rebuilding }: { run: string; rebuilding: boolean },
): Promise<Filled> {
  const { db, redis } = resources;
  const held = await redis.zrange(keys.openJobs(zone), '0', '-1');
  const open = await inTime(listOpenJobs(db, zone));
  const ids = [...new Set([...open, ...held])];
  const filled: Filled = { open: open.length, repaired: 0, raised: [], gone: [] };
  for (let i = 0; i < ids.length; i += JOBS_PAGE) {
    const jobs = ids.slice(i, i + JOBS_PAGE).map((id) => ({ id, zone }));
    const { rows, raised, gone } = await compareJobs(resources, jobs, rebuilding ? null : run);
    const answers = await putRows(resources, rows, { run, rebuilding });
    filled.repaired += answers.filter(isNews).length + gone.length;
    filled.raised.push(...raised.map(({ id }) => id));
    filled.gone.push(...gone);
  }
  return filled;
}

function report(
  { metrics, log }: Resources,
  zone: Zone,
  {
    open,
    repaired,
    raised,
    gone,
    found,
    rebuilding,
  }: Filled & { found: string; rebuilding: boolean },
): void {
  if (repaired === 0) return;
  metrics.reconciled(rebuilding ? 'zone_rebuilt' : 'zone_swept');
  const wentBack = { raised: raised.length, gone: gone.length };
  log.info({ zone, found, repaired, ...wentBack, open }, 'zone reconciled with Postgres');
}
