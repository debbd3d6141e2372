/** Blocked users in Postgres. */

import type { Db } from './client.ts';
import { sql } from './drizzle.ts';

/** The ids of all blocked users. */
export async function readBlocked(db: Db): Promise<ReadonlySet<string>> {
  const rows = await db.execute<{ id: string }>(sql`select id from users_blocked`);
  return new Set(rows.map(({ id }) => id));
}

/** Who blocked this user, as `role:sub`, or `muster` itself; null: nobody. */
export async function blockerOf(db: Db, id: string): Promise<string | null> {
  const [row] = await db.execute<{ by: string }>(
    sql`select blocked_by as by from users_blocked where id = ${id}`,
  );
  return row?.by ?? null;
}

/** Changes whenever a user is blocked or unblocked. */
export async function readMark(db: Db): Promise<string> {
  const [row] = await db.execute<{ mark: string }>(
    sql`select count(*) || ' ' || coalesce(max(blocked_at)::text, '') as mark from users_blocked`,
  );
  return row?.mark ?? '';
}

/** Blocking again changes nothing: the first operator stays on record. */
export async function insertBlocked(db: Db, id: string, by: string): Promise<void> {
  await db.execute(sql`
    insert into users_blocked (id, blocked_by) values (${id}, ${by}) on conflict do nothing`);
}

export async function deleteBlocked(db: Db, id: string): Promise<void> {
  await db.execute(sql`delete from users_blocked where id = ${id}`);
}
