/** Expires untaken jobs whose time ran out on Postgres's clock: a single one, or all that are due. */
import { type EngineContext, TryAgainError, withDeadline } from '../context.ts';
import type { JobRow } from '../domain/job.ts';
import { sql } from '../pg/drizzle.ts';
import { CLAIMABLE_SQL } from '../pg/jobs.ts';
import { runIdOf } from '../redis/client.ts';
import { PUT_WAIT_MS, publish } from './change.ts';
import { rowAt, type Transition, transition } from './transition.ts';

const EXPIRED = {
  set: [sql`status = 'expired', driver_id = null`],
  event: { type: 'job.expired', actor: 'muster' },
  notifications: [{ type: 'job_expired', app: 'customer' }],
} as const satisfies Omit<Transition, 'target'>;

/** Does nothing when the row has moved on. */
export async function expireJob(ctx: EngineContext, row: JobRow): Promise<void> {
  const [expired] = await transition(ctx.db, { target: rowAt(row), ...EXPIRED });
  if (expired) await publish(ctx, expired);
}

/**
 * Expires up to `limit` jobs whose time is over, the longest overdue first, and returns how many. A row
 * that is being changed is left for the next call.
 */
export async function expireDue(ctx: EngineContext, limit: number): Promise<number> {
  const run = runIdOf(ctx.redis);
  const expired = await transition(ctx.db, {
    target: sql`select * from jobs
      where status in ${CLAIMABLE_SQL} and expires_at <= now()
      order by expires_at limit ${limit}::int for update skip locked`,
    ...EXPIRED,
  });
  await publishAll(ctx, expired, run);
  return expired.length;
}

/**
 * For many changes at once: what Redis does not take in time, the settler brings there with the rest. The
 * time is short because the next jobs wait, and one of these zones may have to be filled with thousands.
 */
export async function publishAll(
  ctx: EngineContext,
  rows: readonly JobRow[],
  readUnder: string,
): Promise<void> {
  let known = false;
  try {
    const late = () => new TryAgainError('Redis does not take the jobs in time');
    await withDeadline(ctx.projection.putAll(rows, readUnder), PUT_WAIT_MS, late);
    known = true;
  } catch (error) {
    ctx.log.warn({ err: error, jobs: rows.length }, 'jobs not yet in Redis, will be repeated');
  }
  for (const row of rows) ctx.settler.wake(row.id, known ? row.version : 0);
}
