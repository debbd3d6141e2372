/**
 * Brings a database to the current schema, while calls go on. Safe to run twice and at once: one migrator
 * at a time, by an advisory lock of a transaction, so that no lock stays behind in a session, which through
 * a pooler would be somebody else's.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type postgres from 'postgres';
import type { Db } from './client.ts';
import { drizzle, type MigrationMeta, readMigrationFiles, sql } from './drizzle.ts';
import { wrongEncoding } from './encoding.ts';
import { connectOnce } from './one-off.ts';
import { wrongSearchPath } from './search-path.ts';

const migrationsFolder = fileURLToPath(new URL('./migrations', import.meta.url));
/** Any number will do, as long as every migrator of Muster uses the same. */
const MIGRATION_LOCK = 20_261_123;
/** Longer than any migration takes: the migrator that holds the lock must hang. */
const LOCK_LIMIT_S = 60;
const LOCK_POLL_MS = 100;
const END_TIMEOUT_S = 10;

/**
 * Applies what is missing, one migration after the other; the next run resumes what an interrupted one left
 * behind. Throws what Postgres says when it cannot, and a sentence of its own when another migrator holds
 * the lock for too long.
 */
export async function migrate(databaseUrl: string, lockLimitS = LOCK_LIMIT_S): Promise<void> {
  // One connection holds the lock, in a transaction without a snapshot or other locks; the other works.
  const [guard, worker] = [connectOnce(databaseUrl), connectOnce(databaseUrl)];
  try {
    await guard.begin(async (tx) => {
      await takeLock(tx, lockLimitS);
      await applyMissing(drizzle(worker));
    });
  } finally {
    await Promise.all([guard, worker].map((one) => one.end({ timeout: END_TIMEOUT_S })));
  }
}

/**
 * An index that is built concurrently waits for every older snapshot. So migrators that hold or want the
 * lock must keep none: they ask for it again and again, by simple queries, which leave no portal open.
 */
async function takeLock(tx: postgres.TransactionSql, limitS: number): Promise<void> {
  // A role or database may have time limits made for short statements.
  await tx.unsafe('set local statement_timeout = 0').simple();
  await tx.unsafe('set local idle_in_transaction_session_timeout = 0').simple();
  const deadline = performance.now() + limitS * 1000;
  for (;;) {
    const [row] = await tx
      .unsafe<{ held: boolean }[]>(`select pg_try_advisory_xact_lock(${MIGRATION_LOCK}) as held`)
      .simple();
    if (row?.held) return;
    if (performance.now() > deadline) {
      throw new Error(
        `another migration has held the lock for ${limitS} s; if none is under way, a session of a pooler kept it: select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and objid = ${MIGRATION_LOCK}`,
      );
    }
    await sleep(LOCK_POLL_MS);
  }
}

/** Drizzle's own table and way of counting. */
async function applyMissing(db: Db): Promise<void> {
  const wrong = (await wrongEncoding(db)) ?? (await wrongSearchPath(db));
  if (wrong !== null) throw new Error(wrong);
  await db.execute(sql`create schema if not exists drizzle`);
  await db.execute(sql`create table if not exists drizzle.__drizzle_migrations
    (id serial primary key, hash text not null, created_at bigint)`);
  const at = await newestApplied(db);
  for (const migration of readMigrationFiles({ migrationsFolder })) {
    if (migration.folderMillis <= at) continue;
    if (migration.sql.some((statement) => CONCURRENTLY.test(statement))) {
      await applyBesideCalls(db, migration);
    } else {
      await db.transaction((tx) => apply(tx, migration));
    }
  }
}

const CONCURRENTLY = /\bconcurrently if (?:not )?exists "(\w+)"/i;
/** A statement that waits longer for a lock blocks every call behind it: it is tried again. */
const STEP_LOCK_MS = 500;
const STEP_PAUSE_MS = 200;
/** A minute or two of trying. */
const STEP_TRIES = 200;

async function apply(
  tx: Pick<Db, 'execute'>,
  { sql: statements, hash, folderMillis }: MigrationMeta,
): Promise<void> {
  for (const statement of statements) await tx.execute(sql.raw(statement));
  await tx.execute(sql`insert into drizzle.__drizzle_migrations (hash, created_at)
    values (${hash}, ${folderMillis}::bigint)`);
}

/**
 * A migration of large tables runs each statement by itself, so that none holds its locks while others work.
 * All of them may be repeated.
 */
async function applyBesideCalls(db: Db, migration: MigrationMeta): Promise<void> {
  for (const statement of migration.sql) {
    const index = CONCURRENTLY.exec(statement)?.[1];
    if (index === undefined) await applyStep(db, statement);
    else await buildIndex(db, index, statement);
  }
  await db.transaction((tx) => apply(tx, { ...migration, sql: [] }));
}

async function applyStep(db: Db, statement: string): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      await db.transaction(async (tx) => {
        await tx.execute(sql.raw(`set local lock_timeout = ${STEP_LOCK_MS}`));
        await tx.execute(sql.raw(statement));
      });
      return;
    } catch (error) {
      if (tries === STEP_TRIES || !isLockTimeout(error)) throw error;
      await sleep(STEP_PAUSE_MS);
    }
  }
}

/** An interrupted build leaves an index that no query uses and every write maintains. */
async function buildIndex(db: Db, name: string, statement: string): Promise<void> {
  const [left] = await db.execute(sql`
    select from pg_index where indexrelid = to_regclass(${`"${name}"`}) and not indisvalid`);
  if (left) await db.execute(sql.raw(`drop index concurrently if exists "${name}"`));
  await db.execute(sql.raw(statement));
}

function isLockTimeout(error: unknown): boolean {
  return error instanceof Error && /lock timeout/.test(String(error.cause));
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
