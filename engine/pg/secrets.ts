/** Random keys that every process of a deployment shares, made by the first that needs one. */
import { randomBytes } from 'node:crypto';
import type { Db } from './client.ts';
import { sql } from './drizzle.ts';
import { one } from './jobs.ts';

/** As long as the output of SHA-256: a longer key would add nothing. */
const SECRET_BYTES = 32;

/** The key of this name; the same for every process, and for as long as the database lives. */
export async function readSecret(db: Db, name: string): Promise<Buffer> {
  const rows = await db.execute<{ value: string }>(sql`
    insert into secrets as s (name, value)
    values (${name}, decode(${randomBytes(SECRET_BYTES).toString('hex')}, 'hex'))
    on conflict (name) do update set name = s.name
    returning encode(value, 'hex') as value`);
  return Buffer.from(one(rows).value, 'hex');
}
