/** Lists of jobs as their customers, drivers and operators ask for them, page by page. */
import type { EngineContext } from '../context.ts';
import type { Cursors, InvalidCursor, Page, PageQuery } from '../lists/cursors.ts';
import { type JobFilter, type ListedJob, listJobs } from '../pg/job-lists.ts';

export interface JobLists {
  /** A page of the jobs that fit the filter, newest first. `caller` is whose cursors it takes. */
  list(
    caller: string,
    filter: JobFilter,
    page: PageQuery,
  ): Promise<({ ok: true } & Page<ListedJob>) | InvalidCursor>;
}

export function createJobLists({ db }: Pick<EngineContext, 'db'>, cursors: Cursors): JobLists {
  return {
    list: (caller, filter, page) =>
      cursors.page(`jobs of ${caller}`, page, (after, limit) =>
        listJobs(db, { ...filter, after, limit }),
      ),
  };
}
