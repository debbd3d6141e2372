/**
 * Attempts that did not simply win: what the row says of them, and how those with an unknown outcome are
 * ended. Only the row in Postgres can say yes or no; a fence makes sure that no late write changes it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineContext } from '../../context.ts';
import { isClaimable, type JobRow } from '../../domain/job.ts';
import { claimObstacle } from '../../pg/claims.ts';
import { sql } from '../../pg/drizzle.ts';
import { findJob } from '../../pg/jobs.ts';
import { unclaimJob } from '../../redis/job-scripts.ts';
import { publish } from '../change.ts';
import { expireJob } from '../expire.ts';
import { transition } from '../transition.ts';
import { type Decision, refused, settledBy } from './decision.ts';

/** A tap on its way through the gate. */
export interface Attempt {
  id: string;
  zone: string;
  driverId: string;
  token: string;
  /** When its driver is answered at the latest, by the monotonic clock: nothing is begun for him after that. */
  answeredAt: number;
}

/** Why a version was skipped, as the timeline says it. */
export type FenceCause = 'the outcome of a claim was unknown' | 'a claim outlived its lease';

const RETRY_MS = 200;
/** What is not resolved by then is left to the duty `leases`. */
const GIVE_UP_MS = 60_000;

/**
 * Asks the row. `stale`: the job is open to this driver, and was put again so that the gate knows it; the gate
 * must be asked again.
 */
export async function askRow(ctx: EngineContext, a: Attempt): Promise<Decision | 'stale'> {
  const asOf = performance.now();
  const row = await findJob(ctx.db, a.id);
  if (!row) return refused('job_not_found');
  if (!isClaimable(row.status)) return settledBy(row, a.driverId, asOf);
  const { driverMaxActiveJobs } = ctx.settings;
  const obstacle = await claimObstacle(ctx.db, a.id, a.driverId, driverMaxActiveJobs);
  if (obstacle === 'job_expired') {
    // Somebody may have been faster: the row tells, under its new version.
    await expireJob(ctx, row);
    return 'stale';
  }
  if (obstacle) return refused(obstacle);
  if ((await ctx.projection.put(row)) === 'old') await unclaimJob(ctx.redis, a);
  return 'stale';
}

/**
 * Ends attempts on a job whose outcome is unknown: waits for a commit in flight and shuts out a late one.
 * Returns the row under its new version when it still had the one that the gate saw open, else null: then
 * the row itself says who holds the job.
 */
export async function fenceJob(
  ctx: { db: EngineContext['db']; metrics: Pick<EngineContext['metrics'], 'reconciled'> },
  job: { id: string; version: number },
  cause: FenceCause,
): Promise<JobRow | null> {
  const [row] = await transition(ctx.db, {
    target: sql`select * from jobs
      where id = ${job.id} and version = ${job.version}::int for update`,
    event: { type: 'job.fenced', actor: 'muster', reason: cause },
  });
  if (row) ctx.metrics.reconciled('claim_fenced');
  return row ?? null;
}

/** The gate did not answer: it may have granted the claim, or may do so when Redis wakes up, however late. */
export async function withdraw(ctx: EngineContext, a: Attempt): Promise<void> {
  await untilDone(() => unclaimJob(ctx.redis, a));
}

/** Tries to fence until Postgres answers, and says what became of the job. Throws after a minute. */
export async function resolveUnknown(
  ctx: EngineContext,
  a: Attempt,
  version: number,
): Promise<'fenced' | 'decided'> {
  return untilDone(async () => {
    const row = await fenceJob(ctx, { id: a.id, version }, 'the outcome of a claim was unknown');
    if (!row) return 'decided';
    await publish(ctx, row);
    return 'fenced';
  });
}

async function untilDone<T>(work: () => Promise<T>): Promise<T> {
  const ends = performance.now() + GIVE_UP_MS;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() > ends) throw error;
      await sleep(RETRY_MS);
    }
  }
}
