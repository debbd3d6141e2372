/** What a statement reads of the tables: how much it costs, whatever the machine is doing beside it. */

import type { PgClient } from '../../engine/pg/client.ts';
import { sql } from '../../engine/pg/drizzle.ts';

/** How many rows and index entries all tables gave for what `work` did over the client's only connection. */
export async function rowsRead(work: () => Promise<unknown>, { db }: PgClient): Promise<number> {
  const total = async () => {
    await db.execute(sql`select pg_stat_force_next_flush()`);
    const [row] = await db.execute<{ n: number }>(sql`
      select (coalesce(sum(seq_tup_read), 0) + (
        select coalesce(sum(idx_tup_read), 0) from pg_stat_user_indexes))::float8 as n
      from pg_stat_user_tables`);
    return row?.n ?? 0;
  };
  // Prepared and planned by the first run, as on any connection that is in use.
  await work();
  const before = await total();
  await work();
  return (await total()) - before;
}
