/**
 * Redis as a projection of Postgres: the rows of jobs, zone by zone. Verbs write the row, then put it
 * here; every loss is repaired by putting again.
 */
import type { Resources } from '../context.ts';
import { isClaimable, type JobRow } from '../domain/job.ts';
import { findJobs } from '../pg/jobs.ts';
import { listUnsettled } from '../pg/work-lists.ts';
import { runIdOf } from '../redis/client.ts';
import { putJob } from '../redis/open-jobs.ts';
import { inTime, isNews, putRows, refusalsOf } from './put.ts';
import { createZones, type Zones } from './zones.ts';

/** The writes of a busy city in a minute of outage; with more, whole zones are compared. */
const UNSETTLED_MAX = 1000;

export interface Projection extends Zones {
  /**
   * Copies one row into Redis if it is newer than what is there. If the row is open and Redis does not know
   * the job, the row is read again first, unless it was read under the same run of Redis (`readUnder`): Redis
   * may have lost what closed the job meanwhile.
   */
  put(row: JobRow, readUnder?: string | null): Promise<'applied' | 'old'>;
  /** The same for many rows, pipelined. `readUnder` is from before they were read. */
  putAll(rows: readonly JobRow[], readUnder: string): Promise<void>;
  /**
   * Puts every row that Redis may not have heard of, such as those written while it was away. Telling
   * people is left to the settler. False when there are more rows than one call puts.
   */
  putUnsettled(): Promise<boolean>;
}

export function createProjection(resources: Resources): Projection {
  const { db, redis, metrics } = resources;
  const zones = createZones(resources);

  async function put(row: JobRow, readUnder: string | null = null): Promise<'applied' | 'old'> {
    const mayHaveRefusals = row.version > 1 && isClaimable(row.status);
    const refusals = mayHaveRefusals ? await refusalsOf(resources, [row]) : new Map();
    const answer = await zones.inZone(row.zone, () =>
      putJob(redis, row, {
        refusals: refusals.get(row.id) ?? [],
        readUnder: readUnder === runIdOf(redis) ? readUnder : null,
      }),
    );
    if (answer !== 'unknown') return answer === 'applied' ? answer : 'old';
    const run = runIdOf(redis);
    const now = await inTime(findJobs(db, [row.id]));
    const [again] = await putRows(resources, now, { run });
    return again !== undefined && isNews(again) ? 'applied' : 'old';
  }

  return {
    ...zones,
    put,

    async putAll(rows, readUnder) {
      if (rows.length === 0) return;
      const answers = await putRows(resources, rows, { run: readUnder });
      const late = rows.filter((_, i) => answers[i] === 'not_ready' || answers[i] === 'unknown');
      // A zone under rebuild may have read Postgres before these rows were written.
      for (const row of late) await put(row);
    },

    async putUnsettled() {
      const run = runIdOf(redis);
      const rows = await inTime(listUnsettled(db, 0, UNSETTLED_MAX));
      const repaired = (await putRows(resources, rows, { run })).filter(isNews).length;
      if (repaired > 0) metrics.reconciled('job_put', repaired);
      return rows.length < UNSETTLED_MAX;
    },
  };
}
