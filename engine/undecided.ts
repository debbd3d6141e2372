/**
 * Attempts whose end nobody knows, because a store did not answer: brought to an end as soon as it
 * does, so that the job need not wait for its lease. What fails here the reconciler does later.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineContext } from './context.ts';
import { fenceJob } from './pg/claims.ts';
import { findJob } from './pg/jobs.ts';
import { unclaimJob } from './redis/scripts.ts';
import { trySettle } from './settle.ts';

const RETRY_MS = 200;
/** A Redis that is away for longer has lost the claim, or its lease ends it. */
const WITHDRAW_MAX_MS = 60_000;

/**
 * The gate did not answer; it may have granted, or may yet when Redis wakes up, however late: the
 * lease begins only then.
 */
export function withdraw(
  ctx: EngineContext,
  attempt: { zone: string; id: string; token: string },
): Promise<void> {
  return untilDone(WITHDRAW_MAX_MS, async () => {
    await unclaimJob(ctx.redis, attempt);
  });
}

/** Neither commit nor fence had an answer: fences again, then brings Redis to the row. */
export function fenceLater(ctx: EngineContext, id: string, version: number): Promise<void> {
  return untilDone(ctx.settings.claimLeaseMs, async () => {
    const row = (await fenceJob(ctx.db, id, version)) ?? (await findJob(ctx.db, id));
    if (row && row.settledVersion < row.version) await trySettle(ctx, row);
  });
}

async function untilDone(maxMs: number, work: () => Promise<void>): Promise<void> {
  const ends = performance.now() + maxMs;
  while (performance.now() < ends) {
    try {
      return await work();
    } catch {
      await sleep(RETRY_MS);
    }
  }
}
