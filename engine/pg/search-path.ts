/**
 * Which schema Muster's tables are in. Statements name tables alone, so a session must look there; ours are
 * told to, a pooler's look where their role or database says.
 */

import type { Db } from './client.ts';
import { sql } from './drizzle.ts';

/** Contract section 10. */
export const TABLES_SCHEMA = 'public';

/** Null if a session looks for tables in the right schema, else what is wrong and what to do. */
export async function wrongSearchPath(db: Pick<Db, 'execute'>): Promise<string | null> {
  const [row] = await db.execute<{ schema: string | null }>(sql`select current_schema() as schema`);
  if (row?.schema === TABLES_SCHEMA) return null;
  return `tables are looked for in ${row?.schema ?? 'no schema'}, but Muster's are in ${TABLES_SCHEMA}, e.g. ALTER ROLE … SET search_path = ${TABLES_SCHEMA}`;
}
