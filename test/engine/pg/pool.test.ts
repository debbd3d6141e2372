/** The pool on a server with limits and defaults of its own: what is sent means the same there. */
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { afterEach, describe, expect, inject, it } from 'vitest';
import { connectPg, type PgClient, type PoolTimes } from '../../../engine/pg/client.ts';
import { sql } from '../../../engine/pg/drizzle.ts';
import { freshDatabase } from '../../support/servers.ts';
import { until } from '../../support/until.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function open(url: string, poolSize?: number, times?: PoolTimes): PgClient {
  const pg = connectPg(url, poolSize, times);
  closers.push(() => pg.close());
  return pg;
}

function administrate(url: string = inject('postgresUrl')): postgres.Sql {
  const admin = postgres(url, { max: 1, onnotice: () => {} });
  closers.push(() => admin.end({ timeout: 1 }));
  return admin;
}

const nameOf = (url: string) => new URL(url).pathname.slice(1);

describe('a server that takes few connections', () => {
  it('makes statements and transactions wait instead of refusing them', async () => {
    const url = new URL(await freshDatabase());
    const admin = administrate(url.href);
    // Limits do not bind superusers.
    await admin.unsafe(`drop role if exists few; create role few login password 'few'`);
    await admin.unsafe(`alter database ${nameOf(url.href)} connection limit 4`);
    await admin.unsafe('alter role few connection limit 3');
    [url.username, url.password] = ['few', 'few'];
    const { db } = open(url.href, 20);
    const asked = Array.from({ length: 60 }, (_, i) =>
      i % 4 === 0
        ? db.transaction((tx) => tx.execute(sql`select pg_sleep(0.01)`))
        : db.execute(sql`select pg_sleep(0.01), ${i}::int as i`),
    );
    const settled = await Promise.allSettled(asked);
    expect(settled.filter(({ status }) => status === 'rejected')).toEqual([]);
  });
});

describe('connections that a burst needed', () => {
  const POOL = 12;
  /** What one statement at a time needs, and one more that is being opened or closed. */
  const FEW = 2;

  it('are given back, also while single statements go on, and come again', async () => {
    const url = await freshDatabase();
    const { db } = open(url, POOL, { idleS: 3 });
    const admin = administrate(url);
    const burst = () =>
      Promise.all(Array.from({ length: POOL }, () => db.execute(sql`select pg_sleep(0.5)`)));
    const connections = async () => {
      const [row] = await admin<{ count: number }[]>`
        select count(*)::int as count from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid()`;
      return row?.count ?? 0;
    };
    await burst();
    expect(await connections()).toBe(POOL);
    let going = true;
    let statements = 0;
    const light = (async () => {
      for (; going; statements++) {
        await db.execute(sql`select ${statements}::int`);
        await sleep(50);
      }
    })();
    await until(async () => (await connections()) <= FEW);
    going = false;
    await light;
    expect(statements).toBeGreaterThan(10);
    await burst();
    expect(await connections()).toBe(POOL);
  });
});

describe('a database with other defaults', () => {
  it('is used with the isolation that the statements were written for', async () => {
    const url = await freshDatabase();
    await administrate(url).unsafe(
      `alter database ${nameOf(url)} set default_transaction_isolation = 'repeatable read'`,
    );
    const { db } = open(url);
    const [alone] = await db.execute(sql`select current_setting('transaction_isolation') as level`);
    const [within] = await db.transaction((tx) =>
      tx.execute(sql`select current_setting('transaction_isolation') as level`),
    );
    expect([alone, within]).toEqual([{ level: 'read committed' }, { level: 'read committed' }]);
  });
});

describe('a database that rounds, writes bytes as text, and answers early', () => {
  it('is read as it was written, and answers what is on disk', async () => {
    const url = await freshDatabase();
    const settings = [
      'extra_float_digits = 0',
      'bytea_output = escape',
      'synchronous_commit = off',
    ];
    for (const setting of settings) {
      await administrate(url).unsafe(`alter database ${nameOf(url)} set ${setting}`);
    }
    const { db } = open(url);
    const bytes = Buffer.from('muster\\\0');
    const [row] = await db.execute(sql`select ${0.1 + 0.2}::float8 as sum, ${bytes}::bytea as bytes,
      current_setting('synchronous_commit') as durable`);
    expect(row).toEqual({ sum: 0.1 + 0.2, bytes, durable: 'on' });
  });
});

describe('a role that looks for tables elsewhere', () => {
  it('finds them all the same', async () => {
    const url = await freshDatabase();
    await administrate(url).unsafe(`alter database ${nameOf(url)} set search_path = '$user'`);
    const { db } = open(url);
    expect([...(await db.execute(sql`select count(*)::int as jobs from jobs`))]).toEqual([
      { jobs: 0 },
    ]);
  });
});

describe('a statement that has to be prepared anew', () => {
  /** One of each type that is sent, as rows. */
  const insert = (i: number) => sql`
    insert into sent values (${i}::int, ${i % 2 === 0}, ${`t${i}`}, ${i / 4}::float8,
      ${JSON.stringify({ i })}::jsonb, ${new Date(i).toISOString()}::timestamptz,
      ${BigInt(i)}::bigint, ${Buffer.from([i, 255])}::bytea, ${null}::text)
    returning *`;
  const row = (i: number) => ({
    ...{ n: i, truth: i % 2 === 0, word: `t${i}`, part: i / 4, doc: { i }, none: null },
    ...{ big: String(i), bytes: Buffer.from([i, 255]) },
  });

  async function startTable() {
    const url = await freshDatabase();
    const admin = administrate(url);
    await admin.unsafe(`create table sent (n int, truth boolean, word text, part float8, doc jsonb,
      at timestamptz, big bigint, bytes bytea, none text)`);
    return { admin, ...open(url, 3) };
  }

  async function rows(db: PgClient['db']) {
    const found = await db.execute(sql`select * from sent order by n`);
    expect(found.map(({ at }) => new Date(at as string).getTime())).toEqual(
      found.map(({ n }) => n),
    );
    return found.map(({ at: _at, ...rest }) => rest);
  }

  it('stores the same values when its name was forgotten under load', async () => {
    const { db } = await startTable();
    const numbers = Array.from({ length: 200 }, (_, i) => i % 256);
    await Promise.all(
      numbers.map(async (i) => {
        if (i % 5 === 0) await db.execute(sql`deallocate all`);
        await db.execute(insert(i));
      }),
    );
    expect(await rows(db)).toEqual(numbers.map(row));
  });

  it('stores the same values when a migration changed what it returns', async () => {
    const { admin, db } = await startTable();
    for (let i = 0; i < 12; i++) await db.execute(insert(i));
    await admin.unsafe('alter table sent alter column word type varchar(40)');
    for (let i = 12; i < 24; i++) await db.execute(insert(i));
    expect(await rows(db)).toEqual(Array.from({ length: 24 }, (_, i) => row(i)));
  });
});

describe('a server that becomes read-only while connections stay open', () => {
  it('is left: the connections that follow are new ones', async () => {
    const url = await freshDatabase();
    const { db } = open(url, 2);
    const pid = async () => (await db.execute(sql`select pg_backend_pid() as pid`))[0]?.pid;
    const before = await pid();
    await db.execute(sql`set default_transaction_read_only = on`);
    const write = sql`insert into drivers (id, name) values ('d1', 'Ann')`;
    await expect(db.execute(write)).rejects.toThrow();
    await until(() => db.execute(write), { timeoutMs: 3000 });
    expect(await pid()).not.toBe(before);
  });
});
