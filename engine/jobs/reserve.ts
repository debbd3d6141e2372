/**
 * Operators reserve a job for one driver, and drivers decline jobs: the decline of the driver for whom
 * a job is reserved opens it again, any other hides the job from its driver.
 */

import type { EngineContext } from '../context.ts';
import { type Actor, isClaimable, type JobRow } from '../domain/job.ts';
import { zoneOfJob } from '../domain/zones.ts';
import { findDriver, insertDecline } from '../pg/drivers.ts';
import { sql } from '../pg/drizzle.ts';
import { blockerOf } from '../pg/users-blocked.ts';
import { refuseJob } from '../redis/job-scripts.ts';
import { type ChangeResult, change, closedReason, mustBeKnownOpen } from './change.ts';
import { tryDispatchWave } from './dispatch.ts';
import { firstWaveAgain } from './release.ts';

/**
 * Reserves an open job for one driver: only he may accept; his decline reopens it. No wave opens
 * meanwhile, so he sees it in the widest radius at once. `not_approved` for one who is blocked, too.
 */
export async function assignJob(
  ctx: EngineContext,
  id: string,
  driverId: string,
  actor: Actor,
): Promise<ChangeResult> {
  const driver = await findDriver(ctx.db, driverId);
  if (!driver) return { ok: false, code: 'driver_not_found' };
  // He could neither accept nor decline it.
  const isShutOut = driver.approvalStatus !== 'approved' || (await blockerOf(ctx.db, driverId));
  if (isShutOut) return { ok: false, code: 'not_approved' };
  const widestKm = ctx.settings.waves.at(-1)?.radiusKm ?? ctx.settings.radiusKm;
  const { result } = await change(ctx, id, (row) => {
    const closed = closedReason(ctx, row);
    if (closed) return { refuse: closed };
    if (isReservedFor(row, driverId)) return { done: row };
    return {
      set: [
        sql`status = 'assigned', driver_id = ${driverId}::text, next_wave_at = null,
          radius_km = greatest(job.radius_km, ${widestKm}::float8)`,
      ],
      event: { type: 'job.assigned', actor },
      forgiven: driverId,
    };
  });
  return result;
}

export type DeclineResult = { ok: true } | { ok: false; code: 'not_approved' | 'job_not_found' };

/**
 * The job leaves this driver's feed for good; it bars nobody from a later accept. The decline of
 * the driver for whom it is reserved reopens the job. Settled jobs are no error. Throws `TryAgainError` while Redis does not know.
 */
export async function declineJob(
  ctx: EngineContext,
  id: string,
  driverId: string,
  reason: string | null,
): Promise<DeclineResult> {
  const zone = zoneOfJob(id);
  const { job, reopened } = await reopenReserved(ctx, id, driverId, reason);
  if (!job || !zone) return { ok: false, code: 'job_not_found' };
  if (reopened || !isClaimable(job.status)) return { ok: true };
  await insertDecline(ctx.db, id, driverId, reason);
  try {
    await ctx.projection.inZone(zone, () =>
      refuseJob(ctx.redis, { zone, id, driverId, kind: 'declined' }),
    );
  } finally {
    // An operator who knew nothing of his decline may have reserved it for him meanwhile.
    await reopenReserved(ctx, id, driverId, reason);
  }
  return { ok: true };
}

/** Reopens a job that is reserved for the driver who declines it; the row keeps his decline. */
async function reopenReserved(
  ctx: EngineContext,
  id: string,
  driverId: string,
  reason: string | null,
): Promise<{ job: JobRow | null; reopened: boolean }> {
  const changed = await change(ctx, id, (row) => {
    if (!isReservedFor(row, driverId)) return { done: row };
    return {
      set: [sql`status = 'pending', driver_id = null`, ...firstWaveAgain(ctx)],
      event: { type: 'job.declined', actor: `driver:${driverId}`, reason, driver: 'before' },
      opensWave: true,
      refusal: 'declined',
    };
  });
  if (!changed.result.ok) return { job: null, reopened: false };
  const { job } = changed.result;
  const reopened = changed.before !== null;
  if (reopened) {
    ctx.background(tryDispatchWave(ctx, job));
    mustBeKnownOpen(changed);
  }
  return { job, reopened };
}

function isReservedFor(row: JobRow, driverId: string): boolean {
  return row.status === 'assigned' && row.driverId === driverId;
}
