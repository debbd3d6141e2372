/** Idempotency keys in Postgres: a repeated post is answered with the first one's job. */

import type { Db } from './client.ts';
import { sql } from './drizzle.ts';

/** How long a key counts. */
const KEY_LIFE = sql.raw(`interval '24 hours'`);

/** Deletes the oldest of the keys that no longer count. */
export async function forgetIdempotencyKeys(db: Db, limit: number): Promise<void> {
  await db.execute(sql`
    delete from idempotency_keys where (sub, key) in (
      select sub, key from idempotency_keys where created_at < now() - ${KEY_LIFE}
      order by created_at limit ${limit}::int)`);
}

/** The key's job, if the key is younger than a day; an older one is forgotten. */
export async function findIdempotent(
  db: Db,
  sub: string,
  key: string,
): Promise<{ bodyHash: string; jobId: string } | null> {
  await db.execute(sql`
    delete from idempotency_keys
    where sub = ${sub} and key = ${key} and created_at < now() - ${KEY_LIFE}`);
  const [row] = await db.execute<{ bodyHash: string; jobId: string }>(sql`
    select body_hash as "bodyHash", job_id as "jobId" from idempotency_keys
    where sub = ${sub} and key = ${key}`);
  return row ?? null;
}
