/**
 * Copies rows of jobs into Redis. Safe to repeat, at once in several processes and beside live traffic:
 * what Redis holds is replaced by a newer version only.
 */
import { type Resources, TryAgainError, withDeadline } from '../context.ts';
import { isClaimable, type JobRow } from '../domain/job.ts';
import type { Refusal } from '../domain/visibility.ts';
import { listRefusals } from '../pg/drivers.ts';
import { runIdOf } from '../redis/client.ts';
import type { PutAnswer } from '../redis/job-scripts.ts';
import { putJob } from '../redis/open-jobs.ts';

/** Jobs put at once: a zone of thousands is ready in a moment, and no other command waits long. */
const PUTS_AT_ONCE = 64;
/**
 * Everybody in the zone waits for these rows: a connection to Postgres that does not answer must not hold
 * them up until it is closed. A page, or the ids of a hundred thousand jobs, takes a fraction of this.
 */
const READ_DEADLINE_MS = 2000;

/**
 * Puts rows of ready zones; answers come in their order. `run`: the run id of Redis from before the rows were
 * read. They are not put into a later run, which may have known newer rows and forgotten what closed them.
 */
export async function putRows(
  resources: Pick<Resources, 'db' | 'redis'>,
  rows: readonly JobRow[],
  { run, rebuilding = false }: { run: string; rebuilding?: boolean },
): Promise<PutAnswer[]> {
  const { redis } = resources;
  const refusals = await refusalsOf(resources, rows);
  const answers: PutAnswer[] = [];
  for (let i = 0; i < rows.length; i += PUTS_AT_ONCE) {
    if (run !== runIdOf(redis)) throw new TryAgainError('Redis was started again meanwhile');
    const puts = rows.slice(i, i + PUTS_AT_ONCE).map((row) => {
      return putJob(redis, row, {
        refusals: refusals.get(row.id) ?? [],
        readUnder: run,
        rebuilding,
      });
    });
    answers.push(...(await Promise.all(puts)));
  }
  return answers;
}

/** Was the row news to Redis? */
export const isNews = (answer: PutAnswer): boolean =>
  answer === 'applied' || answer === 'completed';

/** The refusals of the jobs that may have some, by job. */
export async function refusalsOf(
  { db }: Pick<Resources, 'db'>,
  rows: readonly JobRow[],
): Promise<Map<string, [string, Refusal][]>> {
  const byJob = new Map<string, [string, Refusal][]>();
  const open = rows.filter(({ status }) => isClaimable(status)).map(({ id }) => id);
  if (open.length === 0) return byJob;
  for (const { jobId, driverId, kind } of await inTime(listRefusals(db, open))) {
    const list = byJob.get(jobId) ?? [];
    list.push([driverId, kind]);
    byJob.set(jobId, list);
  }
  return byJob;
}

/** Reads rows that a zone waits for; throws `TryAgainError` when that takes too long. */
export function inTime<T>(rows: Promise<T>): Promise<T> {
  return withDeadline(rows, READ_DEADLINE_MS, () => new TryAgainError('Postgres is too slow'));
}
