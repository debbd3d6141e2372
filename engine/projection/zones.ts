/**
 * Fills an empty Redis from Postgres with a zone's open jobs. Safe to run twice, at once in several
 * processes and beside live traffic: everything it writes is ordered by version.
 */
import { randomUUID } from 'node:crypto';
import { type EngineContext, TryAgainError } from '../context.ts';
import { isClaimable, type JobRow } from '../domain/job.ts';
import type { Refusal } from '../domain/visibility.ts';
import type { Zone } from '../domain/zones.ts';
import { listRefusals } from '../pg/drivers.ts';
import { findJobs, listOpenJobs } from '../pg/jobs.ts';
import { listUnsettled } from '../pg/work-lists.ts';
import { runIdOf } from '../redis/client.ts';
import { keys, type LogKeys, zoneLog } from '../redis/keys.ts';
import { markReady, markRebuild } from '../redis/log-scripts.ts';
import { putJob } from '../redis/open-jobs.ts';
import { inTime } from './in-time.ts';

/** Rows of jobs read at once: tens of milliseconds, however many are open in the zone. */
const JOBS_PAGE = 1000;
/** Jobs put at once: a zone of thousands is ready in a moment, and no other command waits long. */
const PUTS_AT_ONCE = 64;
/** What was written in a minute of outage of a busy city; with more, whole zones are compared. */
const UNSETTLED_MAX = 1000;
/** A zone that is lost again while it is being used is tried so often, then the caller may. */
const ATTEMPTS = 3;

const underWay = new WeakMap<EngineContext, Map<string, Promise<void>>>();

/** Runs `work`; while it says `not_ready` the zone is rebuilt and the work is tried again. */
export async function inZone<T>(
  ctx: EngineContext,
  zone: Zone,
  work: () => Promise<T | 'not_ready'>,
): Promise<Exclude<T, 'not_ready'>> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const result = await work();
    if (result !== 'not_ready') return result as Exclude<T, 'not_ready'>;
    await rebuildZone(ctx, zone);
  }
  throw new TryAgainError(`zone ${zone} does not stay ready`);
}

/**
 * Brings a zone to Postgres: every open job, and whatever Redis wrongly holds open; then it is
 * ready. Redis is read first: what it held open then is in Postgres by now. A zone that is ready
 * already is only compared, which costs a look at each job.
 */
export function rebuildZone(ctx: EngineContext, zone: Zone): Promise<void> {
  return once(ctx, zone, async () => {
    // Before anything is read: should the server change meanwhile, the zone is not ready on it.
    const run = runIdOf(ctx.redis);
    const before = await ctx.redis.hget(zoneLog(zone).meta, 'ready');
    const rebuilding = before !== run;
    const token = randomUUID();
    if (rebuilding) await markRebuild(ctx.redis, zoneLog(zone), token);
    const held = await ctx.redis.zrange(keys.openJobs(zone), '0', '-1');
    const open = await inTime(listOpenJobs(ctx.db, zone));
    const ids = [...new Set([...open, ...held])];
    let repaired = 0;
    for (let i = 0; i < ids.length; i += JOBS_PAGE) {
      const rows = await inTime(findJobs(ctx.db, ids.slice(i, i + JOBS_PAGE)));
      repaired += await putRows(ctx, rows, run, rebuilding);
    }
    if (rebuilding) {
      await ctx.redis.sadd(keys.zones, zone);
      await endRebuild(ctx, zoneLog(zone), { token, run });
    }
    if (repaired === 0) return;
    ctx.metrics.reconciled(rebuilding ? 'zone_rebuilt' : 'zone_swept');
    const found = before === null ? 'emptied' : rebuilding ? 'an older copy' : 'jobs out of date';
    ctx.log.info({ zone, found, repaired, open: open.length }, 'zone brought to Postgres');
  });
}

/**
 * Puts every row that Redis may not have heard of, such as those written while it was away. Telling
 * the people concerned is left to the reconciler. False when there are more than one call puts.
 */
export async function putUnsettled(ctx: EngineContext): Promise<boolean> {
  const run = runIdOf(ctx.redis);
  const rows = await inTime(listUnsettled(ctx.db, 0, UNSETTLED_MAX));
  const repaired = await putRows(ctx, rows, run, false);
  for (let i = 0; i < repaired; i++) ctx.metrics.reconciled('job_put');
  return rows.length < UNSETTLED_MAX;
}

/**
 * How many of them were news. `run`: the run id of Redis from before the rows were read; they are not
 * put into the next one, which may know newer ones and have forgotten what closed them.
 */
async function putRows(
  ctx: EngineContext,
  rows: readonly JobRow[],
  run: string,
  rebuilding: boolean,
): Promise<number> {
  const refusals = await refusalsOf(
    ctx,
    rows.map((row) => row.id),
  );
  let applied = 0;
  for (let i = 0; i < rows.length; i += PUTS_AT_ONCE) {
    if (run !== runIdOf(ctx.redis)) throw new TryAgainError('Redis was started again meanwhile');
    const puts = rows.slice(i, i + PUTS_AT_ONCE).map((row) => {
      return putJob(ctx.redis, row, {
        refusals: refusals.get(row.id) ?? [],
        readUnder: run,
        rebuilding,
      });
    });
    for (const put of await Promise.all(puts)) {
      if (put === 'applied' || put === 'completed') applied++;
    }
  }
  return applied;
}

/**
 * Copies one row into Redis if it is newer than what is there. A job that is open by this row and not
 * known there is read again first, unless it was read under the Redis that is there now (`readUnder`):
 * it may have lost what closed the job meanwhile.
 */
export async function putRow(
  ctx: EngineContext,
  row: JobRow,
  readUnder: string | null = null,
): Promise<'applied' | 'old'> {
  const mayHaveRefusals = row.version > 1 && isClaimable(row.status);
  const refusals = mayHaveRefusals ? await refusalsOf(ctx, [row.id]) : new Map();
  const put = await inZone(ctx, row.zone, () =>
    putJob(ctx.redis, row, {
      refusals: refusals.get(row.id) ?? [],
      readUnder: readUnder === runIdOf(ctx.redis) ? readUnder : null,
    }),
  );
  if (put !== 'unknown') return put === 'applied' ? put : 'old';
  const run = runIdOf(ctx.redis);
  const now = await inTime(findJobs(ctx.db, [row.id]));
  return (await putRows(ctx, now, run, false)) > 0 ? 'applied' : 'old';
}

/** What was filled counts from now on. Throws `TryAgainError` when Redis was emptied meanwhile. */
export async function endRebuild(
  ctx: Pick<EngineContext, 'redis'>,
  log: LogKeys,
  rebuild: { token: string; run: string },
): Promise<void> {
  if (await markReady(ctx.redis, log, rebuild)) return;
  throw new TryAgainError('Redis was emptied meanwhile');
}

/** The refusals of some jobs, by job. */
async function refusalsOf(
  ctx: EngineContext,
  jobIds: readonly string[],
): Promise<Map<string, [string, Refusal][]>> {
  const byJob = new Map<string, [string, Refusal][]>();
  if (jobIds.length === 0) return byJob;
  for (const { jobId, driverId, kind } of await inTime(listRefusals(ctx.db, jobIds))) {
    const list = byJob.get(jobId) ?? [];
    list.push([driverId, kind]);
    byJob.set(jobId, list);
  }
  return byJob;
}

/** One rebuild of a thing at a time in this process; who comes meanwhile waits for the same one. */
function once(ctx: EngineContext, key: string, work: () => Promise<void>): Promise<void> {
  const running = underWay.get(ctx) ?? new Map<string, Promise<void>>();
  underWay.set(ctx, running);
  const existing = running.get(key);
  if (existing) return existing;
  const promise = work().finally(() => running.delete(key));
  running.set(key, promise);
  return promise;
}
