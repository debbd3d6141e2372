/** Jobs as operators search them: with how many drivers each has reached, and how many jobs there are. */
import type { EngineContext } from '../context.ts';
import { isClaimable, type JobRow, type JobStatus } from '../domain/job.ts';
import { zoneOfJob } from '../domain/zones.ts';
import type { Cursors, InvalidCursor, Page, PageQuery } from '../lists/cursors.ts';
import { countJobs, type JobFilter, listJobs, type Reach, reachOf } from '../pg/job-lists.ts';

export interface OpsJob {
  row: JobRow;
  reach: Reach;
  /** How long it has waited for a driver, or waited until one took it or it was over. */
  waitingS: number;
}

/** The text to search: a whole id, or part of the address in upper or lower case. */
export interface OpsJobsQuery extends JobFilter, PageQuery {
  sort: 'newest' | 'oldest';
}

export interface OpsJobsPage extends Page<OpsJob> {
  /** Whatever statuses were asked for; jobs that are over count for 30 days. */
  counts: Record<JobStatus, number>;
}

const NONE: Reach = { offered: 0, delivered: 0, pushed: 0 };

/** A page of the jobs that match, for one caller. */
export async function listOpsJobs(
  { db, now }: Pick<EngineContext, 'db' | 'now'>,
  cursors: Cursors,
  caller: string,
  query: OpsJobsQuery,
): Promise<({ ok: true } & OpsJobsPage) | InvalidCursor> {
  const { sort, limit: _, cursor: __, text, ...rest } = query;
  // A whole id is looked up; any other text is part of an address.
  const filter: JobFilter =
    text !== undefined && zoneOfJob(text) !== null ? { ...rest, id: text } : { ...rest, text };
  const [page, counts] = await Promise.all([
    cursors.page(`${sort} ops jobs of ${caller}`, query, (after, limit) =>
      listJobs(db, { ...filter, after, limit, oldestFirst: sort === 'oldest' }),
    ),
    countJobs(db, filter),
  ]);
  if (!page.ok) return page;
  const reach = await reachOf(
    db,
    page.rows.map(({ id }) => id),
  );
  const rows = page.rows.map((row) => ({
    row,
    reach: reach.get(row.id) ?? NONE,
    waitingS: waitingS(row, now()),
  }));
  return { ok: true, rows, counts, nextCursor: page.nextCursor };
}

function waitingS(row: JobRow, now: number): number {
  const until = isClaimable(row.status) ? now : (row.acceptedAt ?? row.updatedAt);
  return Math.max(0, Math.round((until - row.createdAt) / 1000));
}
