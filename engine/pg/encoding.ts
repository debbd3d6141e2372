/** Whether a database can store every text that people may send. */
import type { Db } from './client.ts';
import { sql } from './drizzle.ts';

/** `SQL_ASCII` takes the bytes of any text as they come. */
const TAKES_ALL: ReadonlySet<string | undefined> = new Set(['UTF8', 'SQL_ASCII']);

/** Null if it can, else what is wrong and what to do. */
export async function wrongEncoding(db: Pick<Db, 'execute'>): Promise<string | null> {
  const [row] = await db.execute<{ encoding: string }>(
    sql`select current_setting('server_encoding') as encoding`,
  );
  if (TAKES_ALL.has(row?.encoding)) return null;
  return `the database has the encoding ${row?.encoding}, which lacks characters of other scripts, e.g. CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`;
}
