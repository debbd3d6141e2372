/** What moves a job forward: an operator confirms it, its driver reports progress. */

import type { EngineContext } from '../context.ts';
import { type Actor, isClaimable, mayProgress, type Progress } from '../domain/job.ts';
import { sql } from '../pg/drizzle.ts';
import { type ChangeResult, change, closedReason, loadChanged, loadOf } from './change.ts';

/** `pending` → `confirmed`; still claimable. */
export async function confirmJob(
  ctx: EngineContext,
  id: string,
  actor: Actor,
): Promise<ChangeResult> {
  const { result } = await change(ctx, id, (row) => {
    if (row.status === 'confirmed') return { done: row };
    const closed = closedReason(ctx, row);
    if (closed) return { refuse: closed };
    if (row.status !== 'pending') return { refuse: 'invalid_transition' };
    return { set: [sql`status = 'confirmed'`], event: { type: 'job.confirmed', actor } };
  });
  return result;
}

/** The job's driver reports how far he is; forward only. */
export async function progressJob(
  ctx: EngineContext,
  id: string,
  driverId: string,
  status: Progress,
): Promise<ChangeResult> {
  const completed = status === 'completed';
  const { result, before } = await change(ctx, id, (row) => {
    if (row.driverId !== driverId || isClaimable(row.status)) return { refuse: 'job_not_found' };
    if (!mayProgress(row.status, status)) return { refuse: 'invalid_transition' };
    return {
      set: [sql`status = ${status}::text`],
      event: { type: `job.${status}`, actor: `driver:${driverId}` },
      ...(completed && {
        completed,
        ...(loadOf(ctx) && { load: 'after' }),
        notifications: [{ type: 'job_completed', app: 'customer' }],
      }),
    };
  });
  if (before && completed) await loadChanged(ctx, driverId);
  return result;
}
