/**
 * Reads jobs: what each reader sees of a row, and what happened to it. One function each, so that a
 * private field cannot slip into one answer and not the other.
 */
import type { EngineContext } from '../context.ts';
import { type DriverCard, type Job, type JobRow, toJob, toOwnersJob } from '../domain/job.ts';
import { zoneOfJob } from '../domain/zones.ts';
import { driverCards } from '../pg/drivers.ts';
import { findJob, findJobs, listActiveJobs, listAliveJobs } from '../pg/jobs.ts';

type Stores = Pick<EngineContext, 'db'>;

/** Rows read at once: a few hundred kilobytes where their notes are long. */
const PAGE = 250;

/** Drivers do not see who posted a job; its customer and operators do. */
export type Reader = 'driver' | 'owner';

/** Null when there is no such job, and for an impossible id. */
export async function readJob({ db }: Stores, id: string): Promise<JobRow | null> {
  return zoneOfJob(id) === null ? null : findJob(db, id);
}

/** Jobs as this reader sees them, each with the card of the driver who has accepted it. */
export async function viewsOf(
  { db }: Stores,
  rows: readonly JobRow[],
  reader: Reader,
): Promise<Job[]> {
  const holders = rows.flatMap((row) => holderOf(row) ?? []);
  const cards = await driverCards(db, [...new Set(holders)]);
  return rows.map((row) => viewOf(row, reader, cards.get(holderOf(row) ?? '')));
}

export async function viewOfOne(stores: Stores, row: JobRow, reader: Reader): Promise<Job> {
  const [job] = await viewsOf(stores, [row], reader);
  return job ?? viewOf(row, reader, undefined);
}

/** A customer's jobs that are not over, newest first, as the customer sees them. */
export async function listActive(stores: Stores, customerId: string): Promise<Job[]> {
  return viewsOf(stores, await listActiveJobs(stores.db, customerId), 'owner');
}

/** All jobs that are not over after an id, in the order of ids; an empty page is the end. */
export async function listAlive(stores: Stores, afterId: string): Promise<Job[]> {
  return viewsOf(stores, await listAliveJobs(stores.db, afterId, PAGE), 'owner');
}

/** These jobs as operators see them now, over or not. */
export async function findViews(stores: Stores, ids: readonly string[]): Promise<Job[]> {
  return ids.length === 0 ? [] : viewsOf(stores, await findJobs(stores.db, ids), 'owner');
}

function viewOf(row: JobRow, reader: Reader, card: DriverCard | undefined): Job {
  if (reader === 'owner') return toOwnersJob(row, card);
  return { ...toJob(row), ...(card && { driver: card }) };
}

/** The driver who accepted it; one for whom it is only reserved has not. */
function holderOf(row: JobRow): string | null {
  return row.acceptedAt === null ? null : row.driverId;
}
