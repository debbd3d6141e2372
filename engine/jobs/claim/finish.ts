/** What follows a granted claim: its commit, however long it takes, and every way in which that may end. */
import { type EngineContext, TryAgainError } from '../../context.ts';
import type { JobRow } from '../../domain/job.ts';
import { isServerError } from '../../pg/client.ts';
import { findJob } from '../../pg/jobs.ts';
import { unclaimJob } from '../../redis/job-scripts.ts';
import { loadChanged, publish } from '../change.ts';
import type { CommitOutcome, CommitQueue } from './commit.ts';
import { type Decision, holds, settledBy } from './decision.ts';
import { type Attempt, askRow, resolveUnknown, withdraw } from './resolve.ts';

/**
 * Commits a claim that the gate granted at `version`. Tells the truth of the row, or throws where nothing is
 * promised; `stale`: the job is open under a newer version, and the gate is to be asked anew.
 */
export async function finishClaim(
  ctx: EngineContext,
  commits: CommitQueue,
  a: Attempt,
  version: number,
): Promise<Decision | 'stale'> {
  // Before it is sent: the answer may come late, and by then its driver may have heard elsewhere and given the
  // job back.
  let asOf = performance.now();
  let outcome: CommitOutcome;
  try {
    outcome = await commits.submit({ jobId: a.id, version, driverId: a.driverId });
  } catch (error) {
    if (error instanceof TryAgainError || isServerError(error)) {
      await giveUp(ctx, a);
      throw error;
    }
    const end = await resolveUnknown(ctx, a, version);
    if (end === 'fenced') throw new TryAgainError('the claim could not be made durable');
    asOf = performance.now();
    const row = await findJob(ctx.db, a.id);
    return row && holds(row, a.driverId) ? won(ctx, row, a.driverId, asOf) : 'stale';
  }
  if (outcome.kind === 'won') return won(ctx, outcome.row, a.driverId, asOf);
  const decision = await askRow(ctx, a);
  if (decision === 'stale') return decision;
  // The row was ahead of Redis, which offers a job that is taken: it is brought there at once.
  if (decision.settled?.row) ctx.background(ctx.projection.put(decision.settled.row));
  else await giveUp(ctx, a);
  return decision;
}

/** The answer does not wait for Redis; what follows there goes on beside it. */
function won(ctx: EngineContext, row: JobRow, driverId: string, asOf: number): Decision {
  ctx.background(publish(ctx, row));
  ctx.background(loadChanged(ctx, driverId));
  return settledBy(row, driverId, asOf);
}

/** The attempt surely did not commit: the gate opens again, at once or when Redis answers. */
export async function giveUp(ctx: EngineContext, a: Attempt): Promise<void> {
  await unclaimJob(ctx.redis, a).catch(() => ctx.background(withdraw(ctx, a)));
}
