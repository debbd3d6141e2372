/**
 * What happens to a job besides being claimed: confirm, progress, release, cancel, expire, the next
 * wave; assign and decline are in `reserve-job.ts`. Each is one fenced statement on (version, status), then
 * the projection. Cancel against accept, expire against accept, release against cancel are decided
 * by the row, never by the order of messages.
 */
import { sql } from 'drizzle-orm';
import { type EngineContext, TryAgainError, withDeadline } from '../context.ts';
import {
  isActive,
  isClaimable,
  isHeld,
  type JobRow,
  mayProgress,
  type Progress,
  refusalOf,
} from '../domain/job.ts';
import { noticeOf } from '../domain/notices.ts';
import { zoneOfJob } from '../domain/zones.ts';
import { hasReleased } from '../pg/drivers.ts';
import { type Actor, findJob, type Transition, transitionJob } from '../pg/jobs.ts';
import { driverLoadChanged, trySettle } from '../projection/settler.ts';
import { putRow } from '../projection/zones.ts';
import { tryDispatchWave } from './dispatch.ts';

export type ChangeRefusal =
  | 'job_not_found'
  | 'invalid_transition'
  | 'already_accepted'
  | 'job_cancelled'
  | 'job_expired'
  | 'job_completed'
  | 'driver_not_found'
  | 'not_approved';
export type ChangeResult = { ok: true; job: JobRow } | { ok: false; code: ChangeRefusal };

/** The row moved on under the change; more often than this in a row the caller may try again. */
const ATTEMPTS = 5;
/** Redis answers in milliseconds, or within this has not heard; the caller has waited for it before. */
const PUT_WAIT_MS = 1000;

/** `pending` → `confirmed`; still claimable. */
export function confirmJob(ctx: EngineContext, id: string, actor: Actor): Promise<ChangeResult> {
  return change(ctx, id, (row) => {
    if (row.status === 'confirmed') return { done: row };
    if (row.status !== 'pending') {
      return {
        refuse: isClaimable(row.status)
          ? 'invalid_transition'
          : (refusalOf(row.status) as ChangeRefusal),
      };
    }
    return { from: row, status: 'confirmed', event: 'job.confirmed', actor };
  });
}

/** The job's driver reports how far he is; forward only. Reporting the same again changes nothing. */
export async function progressJob(
  ctx: EngineContext,
  id: string,
  driverId: string,
  status: Progress,
): Promise<ChangeResult> {
  const result = await change(ctx, id, (row) => {
    if (row.driverId !== driverId || isClaimable(row.status)) return { refuse: 'job_not_found' };
    if (!mayProgress(row.status, status)) return { refuse: 'invalid_transition' };
    return {
      from: row,
      status,
      event: `job.${status}`,
      actor: `driver:${driverId}`,
      ...(status === 'completed' && {
        freed: limited(ctx, driverId),
        completedBy: driverId,
      }),
      notices:
        status === 'completed'
          ? [noticeOf('job_completed', 'customer', row.customerId, row.address)]
          : [],
    };
  });
  if (result.ok && result.job.status === 'completed') await driverLoadChanged(ctx, driverId);
  return result;
}

/** The driver gives the job back: it is `pending` again, for everybody but him, in a new wave. */
export async function releaseJob(
  ctx: EngineContext,
  id: string,
  driverId: string,
  reason: string | null,
): Promise<ChangeResult> {
  const result = await change(ctx, id, async (row) => {
    if (row.driverId !== driverId || isClaimable(row.status)) {
      // He asks again, whose answer was lost.
      const done = await hasReleased(ctx.db, id, driverId);
      return done ? { done: row } : { refuse: 'job_not_found' };
    }
    if (!isHeld(row.status)) return { refuse: refusalOf(row.status) as ChangeRefusal };
    return givenBack(ctx, row, { driverId, actor: `driver:${driverId}`, reason });
  });
  if (!result.ok) return result;
  await driverLoadChanged(ctx, driverId);
  if (isClaimable(result.job.status)) ctx.background(tryDispatchWave(ctx, result.job));
  await mustBeKnownOpen(ctx, id);
  return result;
}

/** A held job is open again for everybody but its driver, and its customer is told. */
export function givenBack(
  ctx: EngineContext,
  row: JobRow,
  { driverId, actor, reason }: { driverId: string; actor: Actor; reason: string | null },
): Transition {
  return {
    from: row,
    status: 'pending',
    event: 'job.released',
    actor,
    reason,
    driverId: null,
    eventDriverId: driverId,
    set: sql`accepted_at = null`,
    wave: firstWaveAgain(ctx, row),
    refusal: { driverId, kind: 'released' },
    freed: limited(ctx, driverId),
    notices: [noticeOf('job_released', 'customer', row.customerId, row.address)],
  };
}

/** Whoever has an open job back is offered it as if it were new, in a wave of its own. */
export function firstWaveAgain(ctx: EngineContext, row: JobRow): NonNullable<Transition['wave']> {
  const step = ctx.settings.waves[0];
  return {
    wave: row.wave + 1,
    step: 0,
    radiusKm: step?.radiusKm ?? ctx.settings.radiusKm,
    nextWaveS: step?.waitS ?? null,
  };
}

/** Its customer or an operator cancels; after completion it is too late. */
export async function cancelJob(
  ctx: EngineContext,
  id: string,
  actor: Actor,
  reason: string | null,
): Promise<ChangeResult> {
  let heldBy: string | null = null;
  const result = await change(ctx, id, (row) => {
    if (row.status === 'cancelled') return { done: row };
    if (!isActive(row.status)) return { refuse: refusalOf(row.status) as ChangeRefusal };
    heldBy = row.driverId;
    return {
      from: row,
      status: 'cancelled',
      event: 'job.cancelled',
      actor,
      reason,
      freed: limited(ctx, row.driverId),
      notices:
        row.driverId === null
          ? []
          : [noticeOf('job_cancelled', 'driver', row.driverId, row.address)],
    };
  });
  if (result.ok && heldBy) await driverLoadChanged(ctx, heldBy);
  return result;
}

/** The time of an untaken job ran out, on Postgres's clock. */
export async function expireJob(ctx: EngineContext, row: JobRow): Promise<void> {
  const expired = await transitionJob(ctx.db, {
    from: row,
    status: 'expired',
    event: 'job.expired',
    actor: 'muster',
    driverId: null,
    notices: [noticeOf('job_expired', 'customer', row.customerId, row.address)],
  });
  if (expired) await trySettle(ctx, expired);
}

/** Opens the next, wider wave of a job that nobody took. */
export async function openNextWave(ctx: EngineContext, row: JobRow): Promise<void> {
  const step = row.waveStep + 1;
  const next = ctx.settings.waves[step];
  const opened = await transitionJob(ctx.db, {
    from: row,
    status: row.status,
    event: 'job.wave_opened',
    actor: 'muster',
    ...(next
      ? {
          wave: {
            wave: row.wave + 1,
            step,
            radiusKm: next.radiusKm,
            nextWaveS: next.waitS ?? null,
          },
        }
      : { set: sql`next_wave_at = null` }),
  });
  if (!opened) return;
  await trySettle(ctx, opened);
  if (next) await tryDispatchWave(ctx, opened);
}

/** Without a job limit nothing depends on how many jobs a driver holds. */
function limited(ctx: EngineContext, driverId: string | null): string | null {
  return ctx.settings.driverMaxActiveJobs > 0 ? driverId : null;
}

type Decision = Transition | { refuse: ChangeRefusal } | { done: JobRow };

/**
 * Reads the row, decides, applies; when somebody was faster, decides again on the new row. What is
 * done already may not be settled yet, if the call that did it failed there.
 */
export async function change(
  ctx: EngineContext,
  id: string,
  decide: (row: JobRow) => Decision | Promise<Decision>,
): Promise<ChangeResult> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const row = zoneOfJob(id) ? await findJob(ctx.db, id) : null;
    if (!row) return { ok: false, code: 'job_not_found' };
    const decision = await decide(row);
    if ('refuse' in decision) return { ok: false, code: decision.refuse };
    if ('done' in decision) return told(ctx, decision.done);
    const changed = await transitionJob(ctx.db, decision);
    if (changed) return told(ctx, changed);
  }
  throw new TryAgainError('the job keeps changing');
}

/** What was done is told to whom it concerns; what fails there is repeated behind the answer. */
async function told(ctx: EngineContext, row: JobRow): Promise<ChangeResult> {
  if (row.settledVersion < row.version) await trySettle(ctx, row);
  return { ok: true, job: row };
}

/**
 * Redis refuses whoever taps a job by the last it heard of it. So who opened one again is told so only
 * when Redis knows; whether the people concerned have heard does not matter. Throws `TryAgainError`
 * before; asked again, what he did is done.
 */
export async function mustBeKnownOpen(ctx: EngineContext, id: string): Promise<void> {
  const row = await findJob(ctx.db, id);
  if (!row || !isClaimable(row.status) || row.settledVersion >= row.version) return;
  const unheard = () => new TryAgainError('Redis has not heard yet that the job is open');
  await withDeadline(putRow(ctx, row), PUT_WAIT_MS, unheard).catch(() => {
    throw unheard();
  });
}
