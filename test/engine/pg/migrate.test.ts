/** Migrators at once, beside one that hangs, and what they leave behind. */
import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { afterEach, expect, inject, it } from 'vitest';
import { connectPg } from '../../../engine/pg/client.ts';
import { isCurrentSchema, migrate } from '../../../engine/pg/migrate.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A database without a schema, and a session in it. */
async function emptyDatabase() {
  const name = `test_${randomBytes(6).toString('hex')}`;
  const admin = postgres(inject('postgresUrl'), { max: 1 });
  await admin.unsafe(`create database ${name}`);
  await admin.end();
  const url = new URL(`/${name}`, inject('postgresUrl')).href;
  const session = postgres(url, { max: 1, onnotice: () => {} });
  closers.push(() => session.end());
  return { url, session };
}

it('several at once bring one database to the current schema, and keep no lock', async () => {
  const { url, session } = await emptyDatabase();
  await Promise.all(Array.from({ length: 4 }, () => migrate(url)));
  const { db, close } = connectPg(url, 1);
  closers.push(close);
  expect(await isCurrentSchema(db)).toBe(true);
  const [row] = await session`select count(distinct created_at)::int as kinds, count(*)::int as all
    from drizzle.__drizzle_migrations`;
  expect(row?.all).toBe(row?.kinds);
  expect(await session`select from pg_locks where locktype = 'advisory'`).toHaveLength(0);
});

it('one whose role would make the tables elsewhere says so in a sentence, and makes none', async () => {
  const { url, session } = await emptyDatabase();
  await session.unsafe('create schema elsewhere');
  await session.unsafe(
    `alter database ${new URL(url).pathname.slice(1)} set search_path = elsewhere`,
  );
  await expect(migrate(url)).rejects.toThrow(
    "tables are looked for in elsewhere, but Muster's are in public",
  );
  expect(await session`select to_regclass('elsewhere.jobs') as jobs`).toEqual([{ jobs: null }]);
  await session.unsafe(`alter database ${new URL(url).pathname.slice(1)} reset search_path`);
  await migrate(url);
  expect(await session`select count(*)::int as jobs from public.jobs`).toEqual([{ jobs: 0 }]);
});

it('one that finds the lock held says so in a sentence, and changes nothing', async () => {
  const { url, session } = await emptyDatabase();
  // As a migrator of an earlier version did, whose session a pooler kept.
  await session`select pg_advisory_lock(20261123)`;
  await expect(migrate(url, 1)).rejects.toThrow(/another migration has held the lock for 1 s/);
  expect(await session`select to_regclass('jobs') as jobs`).toEqual([{ jobs: null }]);
  await session`select pg_advisory_unlock_all()`;
  await migrate(url);
  expect(await session`select count(*)::int as jobs from jobs`).toEqual([{ jobs: 0 }]);
});
