/** Jobs that are not over, as their customers and operators see them. */
import type { EngineContext } from '../context.ts';
import { type Job, type JobRow, toOwnersJob } from '../domain/job.ts';
import { driverCards } from '../pg/drivers.ts';
import { findJobs, listActiveJobs, listAliveJobs } from '../pg/jobs.ts';

/** Rows read at once: a few hundred kilobytes where their notes are long. */
const PAGE = 250;

/** A customer's, newest first. */
export async function listActive(ctx: EngineContext, customerId: string): Promise<Job[]> {
  return toViews(ctx, await listActiveJobs(ctx.db, customerId));
}

/** Everybody's after an id, in the order of ids; an empty page is the end. */
export async function listAlive(ctx: EngineContext, afterId: string): Promise<Job[]> {
  return toViews(ctx, await listAliveJobs(ctx.db, afterId, PAGE));
}

/** These as they are now, over or not. */
export async function findViews(ctx: EngineContext, ids: readonly string[]): Promise<Job[]> {
  return ids.length === 0 ? [] : toViews(ctx, await findJobs(ctx.db, ids));
}

/** Each with the card of the driver who has accepted it. */
async function toViews({ db }: EngineContext, rows: readonly JobRow[]): Promise<Job[]> {
  // A driver for whom the job is merely reserved has not accepted it.
  const holders = rows.flatMap(({ acceptedAt, driverId }) => (acceptedAt && driverId) || []);
  const cards = await driverCards(db, [...new Set(holders)]);
  return rows.map((row) =>
    toOwnersJob(row, row.acceptedAt ? cards.get(row.driverId ?? '') : undefined),
  );
}
