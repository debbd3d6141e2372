/** Reads of rows that others wait for: none of them waits longer than for a page. */
import { TryAgainError, withDeadline } from '../context.ts';

/**
 * Everybody in the zone, or with a driver's feed, waits for these rows: a connection to Postgres that does
 * not answer must not hold them up until it is given up. A page, or the ids of a hundred thousand jobs,
 * takes a fraction of it.
 */
const READ_DEADLINE_MS = 2000;

/** Rejects with `TryAgainError` when the rows do not come in time. */
export function inTime<T>(rows: Promise<T>): Promise<T> {
  return withDeadline(rows, READ_DEADLINE_MS, () => new TryAgainError('Postgres is too slow'));
}
