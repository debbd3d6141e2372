/**
 * Brings a database to the current schema. Safe to run twice and at once: one migrator at a time,
 * by an advisory lock that its own connection holds.
 */
import { fileURLToPath } from 'node:url';
import { sql } from 'drizzle-orm';
import { readMigrationFiles } from 'drizzle-orm/migrator';
import { drizzle } from 'drizzle-orm/postgres-js';
import { migrate as runMigrations } from 'drizzle-orm/postgres-js/migrator';
import postgres from 'postgres';
import type { Db } from './client.ts';

const migrationsFolder = fileURLToPath(new URL('./migrations', import.meta.url));
/** Any number will do, as long as every migrator of Muster uses the same. */
const MIGRATION_LOCK = 20_261_123;
const CONNECT_TIMEOUT_S = 10;

/** Applies what is missing. Throws what Postgres says when it cannot. */
export async function migrate(databaseUrl: string): Promise<void> {
  const client = postgres(databaseUrl, {
    max: 1,
    onnotice: () => {},
    connect_timeout: CONNECT_TIMEOUT_S,
  });
  try {
    const db = drizzle(client);
    await db.execute(sql`select pg_advisory_lock(${MIGRATION_LOCK}::bigint)`);
    await runMigrations(db, { migrationsFolder });
  } finally {
    await client.end({ timeout: CONNECT_TIMEOUT_S });
  }
}

/** Is the database at (or beyond) the schema this code was written for? */
export async function isCurrentSchema(db: Db): Promise<boolean> {
  const newest = readMigrationFiles({ migrationsFolder }).at(-1)?.folderMillis ?? 0;
  const [table] = await db.execute<{ found: boolean }>(
    sql`select to_regclass('drizzle.__drizzle_migrations') is not null as found`,
  );
  if (!table?.found) return false;
  const [last] = await db.execute<{ at: number }>(
    sql`select coalesce(max(created_at), 0)::float8 as at from drizzle.__drizzle_migrations`,
  );
  return (last?.at ?? 0) >= newest;
}

/** Is the server one that only repeats what another one writes? */
export async function isStandby(db: Db): Promise<boolean> {
  const [row] = await db.execute<{ standby: boolean }>(sql`select pg_is_in_recovery() as standby`);
  return row?.standby ?? false;
}
