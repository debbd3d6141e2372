/**
 * What operators do when a job is stuck: give it back in its driver's place, one or all that he
 * holds, and offer an open one again.
 */
import type { EngineContext } from '../context.ts';
import { isClaimable, isHeld, type JobRow, refusalOf } from '../domain/job.ts';
import { noticeOf } from '../domain/notices.ts';
import { type Actor, listHeldJobs, type Transition } from '../pg/jobs.ts';
import { driverLoadChanged } from '../projection/settler.ts';
import {
  type ChangeRefusal,
  type ChangeResult,
  change,
  firstWaveAgain,
  givenBack,
  mustBeKnownOpen,
} from './change.ts';
import { tryDispatchWave } from './dispatch.ts';

/** Jobs of a suspended driver given back at once: more would only wait for connections. */
const AT_ONCE = 8;

/**
 * As if its driver had given it back, and he is told. A job that is reserved is open to all again.
 * Refused when no driver has it.
 */
export async function releaseByOperator(
  ctx: EngineContext,
  id: string,
  actor: Actor,
  reason: string | null,
): Promise<ChangeResult> {
  let freed: string | null = null;
  const result = await change(ctx, id, (row) => {
    freed = null;
    if (row.status === 'assigned') return unreserved(ctx, row, actor, reason);
    if (!isHeld(row.status) || row.driverId === null) {
      const open = isClaimable(row.status);
      return { refuse: open ? 'invalid_transition' : (refusalOf(row.status) as ChangeRefusal) };
    }
    freed = row.driverId;
    const back = givenBack(ctx, row, { driverId: row.driverId, actor, reason });
    const told = noticeOf('job_withdrawn', 'driver', row.driverId, row.address);
    return { ...back, notices: [...(back.notices ?? []), told] };
  });
  if (!result.ok) return result;
  if (freed !== null) await driverLoadChanged(ctx, freed);
  if (isClaimable(result.job.status)) ctx.background(tryDispatchWave(ctx, result.job));
  await mustBeKnownOpen(ctx, id);
  return result;
}

/** Gives back every job that a driver holds or that is reserved for him. Safe to repeat. */
export async function releaseAllOf(
  ctx: EngineContext,
  driverId: string,
  actor: Actor,
): Promise<void> {
  const ids = await listHeldJobs(ctx.db, driverId);
  const next = async (): Promise<void> => {
    for (let id = ids.pop(); id !== undefined; id = ids.pop()) {
      await releaseByOperator(ctx, id, actor, 'The driver was suspended');
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, next));
}

/**
 * Opens a new wave of an open job now: the next, wider one of the plan, or after the last one the
 * same again. A reserved job is offered to nobody else.
 */
export async function dispatchAgain(
  ctx: EngineContext,
  id: string,
  actor: Actor,
): Promise<ChangeResult> {
  const result = await change(ctx, id, (row) => {
    if (!isClaimable(row.status)) return { refuse: refusalOf(row.status) as ChangeRefusal };
    if (row.status === 'assigned') return { refuse: 'invalid_transition' };
    const { waves, radiusKm } = ctx.settings;
    const step = Math.max(0, Math.min(row.waveStep + 1, waves.length - 1));
    const planned = waves[step]?.radiusKm ?? radiusKm;
    return {
      from: row,
      status: row.status,
      event: 'job.wave_opened',
      actor,
      wave: {
        wave: row.wave + 1,
        step,
        radiusKm: Math.max(row.radiusKm, planned),
        nextWaveS: waves[step]?.waitS ?? null,
      },
    };
  });
  if (result.ok) ctx.background(tryDispatchWave(ctx, result.job));
  return result;
}

/** Open again to everybody, as by the decline of him for whom it was reserved. */
function unreserved(
  ctx: EngineContext,
  row: JobRow,
  actor: Actor,
  reason: string | null,
): Transition {
  return {
    from: row,
    status: 'pending',
    event: 'job.released',
    actor,
    reason,
    driverId: null,
    eventDriverId: row.driverId,
    wave: firstWaveAgain(ctx, row),
  };
}
