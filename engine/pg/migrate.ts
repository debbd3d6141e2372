/**
 * Brings a database to the current schema. Safe to run twice and at once: one migrator at a time, by an
 * advisory lock of the transaction that migrates, so that nothing of it stays behind in a session, which
 * through a pooler would be somebody else's.
 */
import { fileURLToPath } from 'node:url';
import { sql } from 'drizzle-orm';
import { type MigrationMeta, readMigrationFiles } from 'drizzle-orm/migrator';
import { drizzle } from 'drizzle-orm/postgres-js';
import postgres from 'postgres';
import type { Db } from './client.ts';
import { driverOptions } from './driver.ts';

type Transaction = Parameters<Parameters<Db['transaction']>[0]>[0];

const migrationsFolder = fileURLToPath(new URL('./migrations', import.meta.url));
/** Any number will do, as long as every migrator of Muster uses the same. */
const MIGRATION_LOCK = 20_261_123;
/** Longer than any migration takes; whoever waits so long waits for somebody who hangs. */
const LOCK_LIMIT_S = 60;
const CONNECT_TIMEOUT_S = 10;

/**
 * Applies what is missing, all of it or nothing. Throws what Postgres says when it cannot, and a
 * sentence of its own when another migrator holds the lock for too long.
 */
export async function migrate(databaseUrl: string, lockLimitS = LOCK_LIMIT_S): Promise<void> {
  const client = postgres({
    ...driverOptions(databaseUrl),
    max: 1,
    // Named statements belong to a session as well.
    prepare: false,
    fetch_types: false,
    onnotice: () => {},
    connect_timeout: CONNECT_TIMEOUT_S,
  } as postgres.Options<Record<string, never>>);
  try {
    await drizzle(client).transaction(async (tx) => {
      await takeLock(tx, lockLimitS);
      await applyMissing(tx);
    });
  } finally {
    await client.end({ timeout: CONNECT_TIMEOUT_S });
  }
}

async function takeLock(tx: Transaction, limitS: number): Promise<void> {
  // A role or database may have limits of its own, made for short statements.
  await tx.execute(sql`set local statement_timeout = 0`);
  await tx.execute(sql.raw(`set local lock_timeout = '${limitS}s'`));
  try {
    await tx.execute(sql`select pg_advisory_xact_lock(${MIGRATION_LOCK}::bigint)`);
  } catch (error) {
    if (!(error instanceof Error) || !/lock timeout/.test(String(error.cause))) throw error;
    throw new Error(
      `another migration holds the lock for ${limitS} s now; if none is under way, a session of a pooler kept it: select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objid = ${MIGRATION_LOCK}`,
    );
  }
  await tx.execute(sql`set local lock_timeout = 0`);
}

/** Drizzle's own table and way to count, within the transaction that holds the lock. */
async function applyMissing(tx: Transaction): Promise<void> {
  await tx.execute(sql`create schema if not exists drizzle`);
  await tx.execute(sql`create table if not exists drizzle.__drizzle_migrations
    (id serial primary key, hash text not null, created_at bigint)`);
  const at = await newestApplied(tx);
  for (const migration of readMigrationFiles({ migrationsFolder })) {
    if (migration.folderMillis > at) await apply(tx, migration);
  }
}

async function apply(tx: Transaction, { sql: statements, hash, folderMillis }: MigrationMeta) {
  for (const statement of statements) await tx.execute(sql.raw(statement));
  await tx.execute(sql`insert into drizzle.__drizzle_migrations (hash, created_at)
    values (${hash}, ${folderMillis}::bigint)`);
}

async function newestApplied(db: Pick<Db, 'execute'>): Promise<number> {
  const [last] = await db.execute<{ at: number }>(
    sql`select coalesce(max(created_at), 0)::float8 as at from drizzle.__drizzle_migrations`,
  );
  return last?.at ?? 0;
}

/** Is the database at (or beyond) the schema this code was written for? */
export async function isCurrentSchema(db: Db): Promise<boolean> {
  const newest = readMigrationFiles({ migrationsFolder }).at(-1)?.folderMillis ?? 0;
  const [table] = await db.execute<{ found: boolean }>(
    sql`select to_regclass('drizzle.__drizzle_migrations') is not null as found`,
  );
  return table?.found === true && (await newestApplied(db)) >= newest;
}

/** Is the server one that only repeats what another one writes? */
export async function isStandby(db: Db): Promise<boolean> {
  const [row] = await db.execute<{ standby: boolean }>(sql`select pg_is_in_recovery() as standby`);
  return row?.standby ?? false;
}
