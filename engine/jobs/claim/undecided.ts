/**
 * Attempts whose end nobody knows, because a store did not answer: brought to an end as soon as it
 * does, so that the job need not wait for its lease. What fails here the reconciler does later.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineContext } from '../../context.ts';
import { fenceJob } from '../../pg/claims.ts';
import { findJob } from '../../pg/jobs.ts';
import { trySettle } from '../../projection/settler.ts';
import { unclaimJob } from '../../redis/job-scripts.ts';

const RETRY_MS = 200;
/** What is not ended by then the reconciler ends, with the claim's lease. */
const GIVE_UP_MS = 60_000;

/** Fences that are being repeated, by job and version: one is enough for all who tapped. */
const fencing = new WeakMap<EngineContext, Set<string>>();

/**
 * The gate did not answer; it may have granted, or may yet when Redis wakes up, however late: the
 * lease begins only then.
 */
export function withdraw(
  ctx: EngineContext,
  attempt: { zone: string; id: string; token: string },
): Promise<void> {
  return untilDone(async () => {
    await unclaimJob(ctx.redis, attempt);
  });
}

/** Neither commit nor fence had an answer: fences again, then brings Redis to the row. */
export async function fenceLater(ctx: EngineContext, id: string, version: number): Promise<void> {
  const running = fencing.get(ctx) ?? new Set();
  fencing.set(ctx, running);
  const key = `${id} ${version}`;
  if (running.has(key)) return;
  running.add(key);
  await untilDone(async () => {
    const row = (await fenceJob(ctx.db, id, version)) ?? (await findJob(ctx.db, id));
    if (row && row.settledVersion < row.version) await trySettle(ctx, row);
  });
  running.delete(key);
}

async function untilDone(work: () => Promise<void>): Promise<void> {
  const ends = performance.now() + GIVE_UP_MS;
  while (performance.now() < ends) {
    try {
      return await work();
    } catch {
      await sleep(RETRY_MS);
    }
  }
}
