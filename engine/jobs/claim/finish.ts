/** What follows a granted claim: its commit, however long that takes, and every way it may end. */
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
 * Commits a claim that the gate granted at `version`. Returns what the row says, or throws where nothing is
 * promised; `stale`: the job is open under a newer version, and the gate must be asked again.
 */
export async function finishClaim(
  ctx: EngineContext,
  commits: CommitQueue,
  a: Attempt,
  version: number,
): Promise<Decision | 'stale'> {
  // Taken before the commit is sent: its answer may come late, and by then the driver may have been told
  // elsewhere and given the job back.
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
  // Redis was behind the row and still offers a taken job: put the row at once.
  if (decision.settled?.row) ctx.background(ctx.projection.put(decision.settled.row));
  else await giveUp(ctx, a);
  return decision;
}

/** The answer does not wait for Redis, which is updated in the background. */
function won(ctx: EngineContext, row: JobRow, driverId: string, asOf: number): Decision {
  ctx.background(publish(ctx, row));
  ctx.background(loadChanged(ctx, driverId));
  return settledBy(row, driverId, asOf);
}

/** The attempt certainly did not commit: open the gate again, at once or when Redis answers. */
export async function giveUp(ctx: EngineContext, a: Attempt): Promise<void> {
  await unclaimJob(ctx.redis, a).catch(() => ctx.background(withdraw(ctx, a)));
}
