/**
 * What operators do when a job is stuck: give back one or all jobs that a driver holds, in his place,
 * and offer an open job again.
 */

import type { EngineContext } from '../context.ts';
import { type Actor, isClaimable, isHeld, type JobRow, refusalOf } from '../domain/job.ts';
import { sql } from '../pg/drizzle.ts';
import { listHeldJobs } from '../pg/jobs.ts';
import {
  type ChangeRefusal,
  type ChangeResult,
  change,
  closedReason,
  type Decision,
  loadChanged,
  mustBeKnownOpen,
} from './change.ts';
import { tryDispatchWave } from './dispatch.ts';
import { firstWaveAgain, givenBack } from './release.ts';
import { openWave } from './transition.ts';

/** Jobs given back at once for a suspended driver: more would only wait for connections. */
const AT_ONCE = 8;

/** Who gives a job back, and why. */
interface By {
  actor: Actor;
  reason: string | null;
}

/**
 * As if its driver had given it back, but he is told. A reserved job is open to all again.
 * Refused when no driver has it. Throws `TryAgainError` while Redis does not know.
 */
export async function releaseByOperator(
  ctx: EngineContext,
  id: string,
  by: By,
): Promise<ChangeResult> {
  const changed = await change(ctx, id, (row) => decideRelease(ctx, row, by));
  if (!changed.result.ok) return changed.result;
  await loadChanged(ctx, changed.before?.driverId ?? null);
  ctx.background(tryDispatchWave(ctx, changed.result.job));
  return mustBeKnownOpen(changed);
}

function decideRelease(ctx: EngineContext, row: JobRow, by: By): Decision {
  if (row.status === 'assigned') {
    return {
      set: [sql`status = 'pending', driver_id = null`, ...firstWaveAgain(ctx)],
      event: { type: 'job.released', driver: 'before', ...by },
      opensWave: true,
    };
  }
  if (isHeld(row.status)) {
    const { notifications = [], ...back } = givenBack(ctx, by);
    const told = { type: 'job_withdrawn', app: 'driver' } as const;
    return { ...back, notifications: [...notifications, told] };
  }
  const isOpen = isClaimable(row.status);
  return { refuse: isOpen ? 'invalid_transition' : (refusalOf(row.status) as ChangeRefusal) };
}

/** Gives back every job that a driver holds or that is reserved for him. Safe to repeat. */
export async function releaseAllOf(
  ctx: EngineContext,
  driverId: string,
  actor: Actor,
): Promise<void> {
  const ids = await listHeldJobs(ctx.db, driverId);
  const reason = 'The driver was suspended';
  const next = async (): Promise<void> => {
    for (let id = ids.pop(); id !== undefined; id = ids.pop()) {
      await releaseByOperator(ctx, id, { actor, reason });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, next));
}

/**
 * Opens a new wave of an open job now: the plan's next, wider one, or the last one once more. A reserved
 * job is offered to nobody else.
 */
export async function dispatchAgain(
  ctx: EngineContext,
  id: string,
  actor: Actor,
): Promise<ChangeResult> {
  const { waves, radiusKm } = ctx.settings;
  const { result } = await change(ctx, id, (row) => {
    const closed = closedReason(ctx, row);
    if (closed) return { refuse: closed };
    if (row.status === 'assigned') return { refuse: 'invalid_transition' };
    const step = Math.max(0, Math.min(row.waveStep + 1, waves.length - 1));
    const plannedKm = waves[step]?.radiusKm ?? radiusKm;
    return {
      set: openWave({
        step,
        radiusKm: Math.max(row.radiusKm, plannedKm),
        nextWaveS: waves[step]?.waitS ?? null,
      }),
      event: { type: 'job.wave_opened', actor },
      opensWave: true,
    };
  });
  if (result.ok) ctx.background(tryDispatchWave(ctx, result.job));
  return result;
}
