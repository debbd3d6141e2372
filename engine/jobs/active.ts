/** A customer's jobs that are not over, as the customer sees them. */
import type { EngineContext } from '../context.ts';
import { type Job, toOwnersJob } from '../domain/job.ts';
import { driverCards } from '../pg/drivers.ts';
import { listActiveJobs } from '../pg/jobs.ts';

/** Newest first, each with the card of the driver who has accepted it. */
export async function listActive({ db }: EngineContext, customerId: string): Promise<Job[]> {
  const rows = await listActiveJobs(db, customerId);
  // A driver for whom the job is merely reserved has not accepted it.
  const holders = rows.flatMap(({ acceptedAt, driverId }) => (acceptedAt && driverId) || []);
  const cards = await driverCards(db, [...new Set(holders)]);
  return rows.map((row) =>
    toOwnersJob(row, row.acceptedAt ? cards.get(row.driverId ?? '') : undefined),
  );
}
