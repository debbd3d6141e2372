/** Gives a held job back: it is `pending` again, for everybody but its driver, in a new wave. */
import type { EngineContext } from '../context.ts';
import { type Actor, isClaimable, isHeld, refusalOf } from '../domain/job.ts';
import { hasReleased } from '../pg/drivers.ts';
import { type SQL, sql } from '../pg/drizzle.ts';
import {
  type ChangeRefusal,
  type ChangeResult,
  change,
  loadChanged,
  loadOf,
  mustBeKnownOpen,
} from './change.ts';
import { tryDispatchWave } from './dispatch.ts';
import { openWave, type Transition } from './transition.ts';

/** The driver gives the job back himself. Throws `TryAgainError` while Redis does not know. */
export async function releaseJob(
  ctx: EngineContext,
  id: string,
  driverId: string,
  reason: string | null,
): Promise<ChangeResult> {
  const changed = await change(ctx, id, async (row) => {
    if (row.driverId === driverId && isHeld(row.status)) {
      return givenBack(ctx, { actor: `driver:${driverId}`, reason });
    }
    if (row.driverId === driverId && !isClaimable(row.status)) {
      return { refuse: refusalOf(row.status) as ChangeRefusal };
    }
    // His answer was lost, and he asks again.
    const done = await hasReleased(ctx.db, id, driverId);
    return done ? { done: row } : { refuse: 'job_not_found' };
  });
  if (!changed.result.ok) return changed.result;
  const { job } = changed.result;
  await loadChanged(ctx, driverId);
  if (isClaimable(job.status)) ctx.background(tryDispatchWave(ctx, job));
  return isClaimable(job.status) ? mustBeKnownOpen(changed) : changed.result;
}

/** What giving a held job back changes, whoever does it. */
export function givenBack(
  ctx: EngineContext,
  by: { actor: Actor; reason: string | null },
): Omit<Transition, 'target'> {
  return {
    set: [sql`status = 'pending', driver_id = null, accepted_at = null`, ...firstWaveAgain(ctx)],
    event: { type: 'job.released', driver: 'before', ...by },
    opensWave: true,
    refusal: 'released',
    ...(loadOf(ctx) && { load: 'before' }),
    notifications: [{ type: 'job_released', app: 'customer' }],
  };
}

/** An open job given back is offered as if it were new, in a wave of its own. */
export function firstWaveAgain(ctx: EngineContext): SQL[] {
  const { waves, radiusKm } = ctx.settings;
  const step = waves[0];
  return openWave({
    step: 0,
    radiusKm: step?.radiusKm ?? radiusKm,
    nextWaveS: step?.waitS ?? null,
  });
}
