/** The pool over minutes: a burst's connections are given back, also while single statements go on. */
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { expect, it, onTestFinished } from 'vitest';
import { connectPg } from '../../../engine/pg/client.ts';
import { sql } from '../../../engine/pg/drizzle.ts';
import { freshDatabase } from '../../support/servers.ts';
import { until } from '../../support/until.ts';

const POOL = 12;
/** What one statement at a time needs, and one more that is being opened or closed. */
const FEW = 2;
const ENOUGH_MS = 150_000;

it('gives back what a minute did without, and no statement fails', {
  timeout: 200_000,
}, async () => {
  const url = await freshDatabase();
  const pg = connectPg(url, POOL);
  const admin = postgres(url, { max: 1, onnotice: () => {} });
  onTestFinished(async () => {
    await pg.close();
    await admin.end();
  });
  const burst = () =>
    Promise.all(Array.from({ length: POOL }, () => pg.db.execute(sql`select pg_sleep(0.5)`)));
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
      await pg.db.execute(sql`select ${statements}::int`);
      await sleep(50);
    }
  })();
  await until(async () => (await connections()) <= FEW, { timeoutMs: ENOUGH_MS });
  going = false;
  await light;
  expect(statements).toBeGreaterThan(100);
  // What was given back comes again when it is needed.
  await burst();
  expect(await connections()).toBe(POOL);
});
