/** What maintenance looks for in the rows of jobs, and the mark that a change is settled. */
import type { JobRow } from '../domain/job.ts';
import type { Db } from './client.ts';
import { sql } from './drizzle.ts';
import { CLAIMABLE_SQL, JOB_COLUMNS, type RowOf } from './jobs.ts';

/**
 * Marks that Redis and the people concerned have heard of these versions. The list is parsed once and
 * sorted, so that all lock in the same order; each row is looked up by its id.
 */
export async function markSettled(
  db: Db,
  changes: readonly { id: string; version: number }[],
): Promise<void> {
  const versions: Record<string, number> = {};
  for (const { id, version } of changes) versions[id] = Math.max(version, versions[id] ?? 0);
  await db.execute(sql`
    update jobs set settled_version = told.version
    from (select key as id, value::int as version
      from jsonb_each_text(${JSON.stringify(versions)}::text::jsonb) order by key) told
    where jobs.id = told.id and jobs.settled_version < told.version`);
}

/** Changed rows that nobody has settled for a while. */
export async function listUnsettled(db: Db, olderThanMs: number, limit: number): Promise<JobRow[]> {
  return db.execute<RowOf<JobRow>>(sql`
    select ${JOB_COLUMNS} from jobs j
    where j.settled_version < j.version
      and j.updated_at < now() - make_interval(secs => ${olderThanMs}::float8 / 1000)
    order by j.updated_at limit ${limit}::int`);
}

/** Zones that hold open jobs. */
export async function listOpenZones(db: Db): Promise<string[]> {
  const rows = await db.execute<{ zone: string }>(
    sql`select distinct zone from jobs where status in ${CLAIMABLE_SQL}`,
  );
  return rows.map((row) => row.zone);
}
