/** Leases on Postgres's clock: one holder at a time, and a frozen one loses it by itself. */

import type { Db } from './client.ts';
import { sql } from './drizzle.ts';

/** Held by the one process that does the duties. */
export const MAINTENANCE_LEASE = 'maintenance';

/** Takes or renews the lease for `ttlMs`; false while another holds it. */
export async function takeLease(
  db: Db,
  name: string,
  holder: string,
  ttlMs: number,
): Promise<boolean> {
  const rows = await db.execute(sql`
    insert into leases as old (name, holder, expires_at)
    values (${name}, ${holder}, now() + make_interval(secs => ${ttlMs}::float8 / 1000))
    on conflict (name) do update set holder = excluded.holder, expires_at = excluded.expires_at
    where old.holder = excluded.holder or old.expires_at < now()
    returning name`);
  return rows.length > 0;
}

/** Gives the lease back early, so that a successor need not wait. */
export async function dropLease(db: Db, name: string, holder: string): Promise<void> {
  await db.execute(sql`delete from leases where name = ${name} and holder = ${holder}`);
}

/** How long ago the lease ran out; 0 while it is held, null when it never was. */
export async function secondsWithoutLease(db: Db, name: string): Promise<number | null> {
  const [row] = await db.execute<{ seconds: number }>(sql`
    select greatest(0, extract(epoch from now() - expires_at))::float8 as seconds
    from leases where name = ${name}`);
  return row?.seconds ?? null;
}
