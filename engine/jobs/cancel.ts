/** Its customer or an operator cancels a job; after completion it is too late. */

import type { EngineContext } from '../context.ts';
import { type Actor, isActive, refusalOf } from '../domain/job.ts';
import { sql } from '../pg/drizzle.ts';
import { type ChangeRefusal, type ChangeResult, change, loadChanged, loadOf } from './change.ts';

export async function cancelJob(
  ctx: EngineContext,
  id: string,
  actor: Actor,
  reason: string | null,
): Promise<ChangeResult> {
  const { result, before } = await change(ctx, id, (row) => {
    if (row.status === 'cancelled') return { done: row };
    if (!isActive(row.status)) return { refuse: refusalOf(row.status) as ChangeRefusal };
    return {
      set: [sql`status = 'cancelled'`],
      event: { type: 'job.cancelled', actor, reason },
      ...(loadOf(ctx) && { load: 'before' }),
      notifications: [{ type: 'job_cancelled', app: 'driver' }],
    };
  });
  if (before) await loadChanged(ctx, before.driverId);
  return result;
}
