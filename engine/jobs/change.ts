/**
 * How a verb changes a job: it reads the row, decides, and writes with a fence; if it was overtaken, it
 * decides again on the new row. Cancel against accept, expire against accept, release against cancel are
 * decided by the row, never by the order of messages. Then the change is published.
 */
import { type EngineContext, TryAgainError, withDeadline } from '../context.ts';
import { type ClaimRefusal, isClaimable, type JobRow, refusalOf } from '../domain/job.ts';
import { zoneOfJob } from '../domain/zones.ts';
import { findJob } from '../pg/jobs.ts';
import { rowAt, type Transition, transition } from './transition.ts';

export type ChangeRefusal =
  | Exclude<ClaimRefusal, 'reserved' | 'released' | 'driver_busy'>
  | 'invalid_transition'
  | 'driver_not_found';
export type ChangeResult = { ok: true; job: JobRow } | { ok: false; code: ChangeRefusal };

/** A change of the row that was read, a refusal, or the news that it is done already. */
export type Decision = Omit<Transition, 'target'> | { refuse: ChangeRefusal } | { done: JobRow };

/** How often in a row the job may change under the verb before the caller is told to try again. */
const ATTEMPTS = 5;
/** The answer does not depend on Redis and somebody waits for it; the settler repeats what takes longer. */
export const PUT_WAIT_MS = 1000;

export interface Changed {
  result: ChangeResult;
  /** The row that this call changed; null where it changed nothing. */
  before: JobRow | null;
  /** Redis knows the row that the answer is built from. */
  known: boolean;
}

/** Throws `TryAgainError` when the job keeps changing. */
export async function change(
  ctx: EngineContext,
  id: string,
  decide: (row: JobRow) => Decision | Promise<Decision>,
): Promise<Changed> {
  const refused = (code: ChangeRefusal): Changed => {
    return { result: { ok: false, code }, before: null, known: true };
  };
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const row = zoneOfJob(id) ? await findJob(ctx.db, id) : null;
    if (!row) return refused('job_not_found');
    const decision = await decide(row);
    if ('refuse' in decision) return refused(decision.refuse);
    if ('done' in decision) {
      const { done } = decision;
      // The call that did it may have ended before anybody was told.
      const known = done.settledVersion >= done.version || (await publish(ctx, done));
      return { result: { ok: true, job: done }, before: null, known };
    }
    const [job] = await transition(ctx.db, { target: rowAt(row), ...decision });
    if (job) return { result: { ok: true, job }, before: row, known: await publish(ctx, job) };
  }
  throw new TryAgainError('the job keeps changing');
}

/**
 * Why nobody can do with a job what needs an open one; null where it is open. One that is overdue counts as expired
 * before its row says so, as it does for a claim.
 */
export function closedReason(
  { now }: Pick<EngineContext, 'now'>,
  row: JobRow,
): ChangeRefusal | null {
  if (!isClaimable(row.status)) return refusalOf(row.status) as ChangeRefusal;
  return row.expiresAt !== null && row.expiresAt <= now() ? 'job_expired' : null;
}

/**
 * Brings a committed change to Redis and has people told. False when Redis did not take it in time: then
 * the settler repeats it. `readUnder`: the run id of Redis from before the row was written.
 */
export async function publish(
  ctx: EngineContext,
  row: JobRow,
  readUnder: string | null = null,
): Promise<boolean> {
  try {
    const late = () => new TryAgainError('Redis does not take the job in time');
    await withDeadline(ctx.projection.put(row, readUnder), PUT_WAIT_MS, late);
    ctx.settler.wake(row.id, row.version);
    return true;
  } catch (error) {
    ctx.log.warn({ err: error, job: row.id }, 'job not yet in Redis, will be repeated');
    ctx.settler.wake(row.id);
    return false;
  }
}

/**
 * Redis refuses taps by what it last heard of a job. So a driver who opened one again is told so only
 * when Redis knows; asking again then succeeds. Throws `TryAgainError` until then.
 */
export function mustBeKnownOpen({ result, known }: Changed): ChangeResult {
  if (!known) throw new TryAgainError('Redis has not heard yet that the job is open');
  return result;
}

/** With a job limit, the number of jobs a driver holds decides what he is offered: then his rev moves. */
export function loadOf(ctx: EngineContext): boolean {
  return ctx.settings.driverMaxActiveJobs > 0;
}

/** The number of jobs that a driver holds has changed. If this fails, maintenance repeats it by his rev. */
export async function loadChanged(ctx: EngineContext, driverId: string | null): Promise<void> {
  if (driverId === null || !loadOf(ctx)) return;
  try {
    await ctx.drivers.sync(driverId);
  } catch (error) {
    ctx.log.warn({ err: error, driver: driverId }, 'driver not yet in Redis, will be repeated');
  }
}
