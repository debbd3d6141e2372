/** How many jobs are open and how many drivers are at work, counted anew each time. */

import type { Db } from './client.ts';
import { sql } from './drizzle.ts';
import { CLAIMABLE_SQL } from './jobs.ts';

export interface Counts {
  openJobs: number;
  /** Online, and heard from within the time that makes a driver stale. */
  driversHeard: number;
  driversSilent: number;
}

export async function countNow(db: Db, driverStaleMs: number): Promise<Counts> {
  const [counts] = await db.execute<Counts & Record<string, unknown>>(sql`
    select
      (select count(*)::int from jobs where status in ${CLAIMABLE_SQL}) as "openJobs",
      count(*) filter (where heard)::int as "driversHeard",
      count(*) filter (where not heard)::int as "driversSilent"
    from (
      select coalesce(seen_at >= now() - make_interval(secs => ${driverStaleMs}::float8 / 1000),
        false) as heard
      from drivers where online and approval_status = 'approved' and not is_operator) at_work`);
  return counts as Counts;
}
