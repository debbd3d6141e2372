/** Whom a wave was offered to, nearest first; nobody before it is dispatched. */

import type { Db } from '../../engine/pg/client.ts';
import { sql } from '../../engine/pg/drizzle.ts';

export async function candidatesOf(db: Db, jobId: string, wave = 1): Promise<string[]> {
  const [row] = await db.execute<{ ids: string[] }>(sql`
    select to_jsonb(candidate_ids) as ids from job_waves
    where job_id = ${jobId} and wave = ${wave}::int`);
  return row?.ids ?? [];
}
