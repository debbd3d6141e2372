/**
 * The reconciler: compares what is with what should be and repairs the difference. One at a time by
 * a lease row on Postgres's clock; every repair is safe to run twice and beside live traffic. There
 * are no alarms elsewhere: no delayed task is ever the truth.
 */
import { randomUUID } from 'node:crypto';
import type { EngineContext } from '../context.ts';
import { isClaimable, type JobRow } from '../domain/job.ts';
import { syncDriver } from '../drivers/profile.ts';
import { createCounters } from '../history/counters.ts';
import { expireJob, openNextWave } from '../jobs/change.ts';
import { dispatchWave } from '../jobs/dispatch.ts';
import { fenceJob } from '../pg/claims.ts';
import { listUnsynced } from '../pg/drivers.ts';
import { forgetIdempotencyKeys } from '../pg/idempotency.ts';
import { findJob } from '../pg/jobs.ts';
import { dropLease, RECONCILER_LEASE, takeLease } from '../pg/leases.ts';
import { takeUndone } from '../pg/notifications.ts';
import { listUndispatched, takeUnpushed } from '../pg/waves.ts';
import { listDueWaves, listExpired, listOpenZones, listUnsettled } from '../pg/work-lists.ts';
import { settleJob } from '../projection/settler.ts';
import { rebuildZone } from '../projection/zones.ts';
import { keys } from '../redis/keys.ts';

/** The holder renews it every tick; with the others' ticks a dead one is replaced within 4 s. */
const LEASE_MS = 2500;
const TICK_MS = 1000;
/** What is younger is still being done by whoever caused it. */
const GRACE_MS = 2000;
const NOTIFICATION_GRACE_MS = 5000;
/** A wave of thousands is being pushed for as long; a second task for it does no harm. */
const PUSH_GRACE_MS = 10_000;
/** Repairs of one kind in one tick; the rest comes with the next. */
const BATCH = 200;
/** So many failures in a row are an outage: the other kinds, and the next tick, come first. */
const FAILURES_MAX = 3;
/** Every zone is compared with Postgres this often, whether or not anything seems wrong. */
const SWEEP_MS = 60_000;
/** What is done for its own sake and not because something went wrong: counted, not logged. */
const DUTIES = new Set(['job_expired', 'wave_opened']);

export interface Reconciler {
  /** One round, for tests: takes the lease if it is free and repairs what it finds. */
  tick(): Promise<void>;
  close(): Promise<void>;
}

/** Starts ticking; `close` gives the lease back. */
export function startReconciler(ctx: EngineContext): Reconciler {
  const holder = randomUUID();
  let sweptAt = performance.now();
  let running: Promise<void> = Promise.resolve();
  let closed = false;
  let timer: NodeJS.Timeout | undefined;

  async function tick(): Promise<void> {
    try {
      if (!(await takeLease(ctx.db, RECONCILER_LEASE, holder, LEASE_MS))) return;
      await repairAll(ctx);
      if (performance.now() - sweptAt < SWEEP_MS) return;
      sweptAt = performance.now();
      await sweep(ctx);
    } catch (error) {
      ctx.log.warn({ err: error }, 'reconciler: this round failed, the next one repeats it');
    }
  }

  function schedule(): void {
    timer = setTimeout(() => {
      running = tick().finally(() => {
        if (!closed) schedule();
      });
    }, TICK_MS);
  }
  schedule();

  return {
    tick,
    async close() {
      closed = true;
      clearTimeout(timer);
      await running;
      await dropLease(ctx.db, RECONCILER_LEASE, holder).catch(() => {});
    },
  };
}

async function repairAll(ctx: EngineContext): Promise<void> {
  await repair(ctx, 'job_expired', await listExpired(ctx.db, BATCH), (row) => expireJob(ctx, row));
  await repair(ctx, 'wave_opened', await listDueWaves(ctx.db, BATCH), (row) =>
    openNextWave(ctx, row),
  );
  await repair(ctx, 'job_settled', await listUnsettled(ctx.db, GRACE_MS, BATCH), (row) =>
    settleJob(ctx, row),
  );
  await repair(
    ctx,
    'wave_dispatched',
    await listUndispatched(ctx.db, GRACE_MS, BATCH),
    async (w) => {
      const row = await findJob(ctx.db, w.jobId);
      if (row) await dispatchWave(ctx, row);
    },
  );
  await repair(ctx, 'wave_enqueued', await takeUnpushed(ctx.db, PUSH_GRACE_MS, BATCH), (w) =>
    ctx.push.enqueueWave(w.jobId, w.wave),
  );
  await repair(ctx, 'driver_synced', await listUnsynced(ctx.db, GRACE_MS, BATCH), (id) =>
    syncDriver(ctx, id),
  );
  await repair(
    ctx,
    'notification_enqueued',
    await takeUndone(ctx.db, NOTIFICATION_GRACE_MS, BATCH),
    async (id) => (await ctx.push.enqueueNotifications([{ id }])) > 0,
  );
  // Leases are on the clock of Redis.
  const [seconds] = await ctx.redis.time();
  for (const zone of await knownZones(ctx)) {
    const until = Number(seconds) * 1000;
    const ended = await ctx.redis.zrangebyscore(keys.claims(zone), 0, until, 'LIMIT', 0, BATCH);
    await repair(ctx, 'lease_ended', ended, (id) => endLease(ctx, id));
  }
}

/** Compares every zone with Postgres, and forgets what nobody may ask for any more. */
async function sweep(ctx: EngineContext): Promise<void> {
  for (const zone of await knownZones(ctx)) await rebuildZone(ctx, zone);
  await forgetIdempotencyKeys(ctx.db, BATCH * 10);
  await createCounters(ctx).fold();
}

/** Zones with open jobs, and those of which Redis may hold something still. */
async function knownZones(ctx: EngineContext): Promise<Set<string>> {
  const [open, filled] = await Promise.all([listOpenZones(ctx.db), ctx.redis.smembers(keys.zones)]);
  return new Set([...open, ...filled]);
}

/**
 * A claim outlived its lease. While the job is open by its row the fence waits for a commit in flight
 * and shuts out a late one; a claim that was committed is settled as it is.
 */
async function endLease(ctx: EngineContext, id: string): Promise<'open' | 'taken' | 'unknown'> {
  const row = await findJob(ctx.db, id);
  if (!row) return 'unknown';
  const fenced = isClaimable(row.status) ? await fenceJob(ctx.db, id, row.version) : null;
  const now = fenced ?? (await findJob(ctx.db, id)) ?? row;
  await settleJob(ctx, now);
  return isClaimable(now.status) ? 'open' : 'taken';
}

/**
 * Repairs one by one, counted and logged with what `work` found, unless there was nothing to do (it says
 * false); one that fails is found again by the next round.
 */
async function repair<T>(
  ctx: EngineContext,
  kind: string,
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  let failures = 0;
  for (const item of items) {
    if (failures === FAILURES_MAX) return;
    try {
      const found = await work(item);
      failures = 0;
      if (found === false) continue;
      ctx.metrics.reconciled(kind);
      if (!DUTIES.has(kind)) ctx.log.info({ kind, ...nameOf(item), found }, 'repaired');
    } catch (error) {
      failures++;
      ctx.log.warn({ err: error, kind }, 'repair failed, the next round repeats it');
    }
  }
}

/** What was repaired, for the log. */
function nameOf(item: unknown): object {
  if (typeof item === 'string') return { id: item };
  const { id, jobId, version, wave } = item as Partial<JobRow> & { jobId?: string };
  return { id: id ?? jobId, version, wave };
}
