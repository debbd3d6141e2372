/** Redis filled from Postgres: zones of any size, and a Postgres that does not answer meanwhile. */

import { beforeAll, expect, it } from 'vitest';
import { type EngineContext, TryAgainError } from '../../engine/context.ts';
import { createDrivers } from '../../engine/drivers/drivers.ts';
import { connectPg } from '../../engine/pg/client.ts';
import { type SQL, sql } from '../../engine/pg/drizzle.ts';
import { findJob } from '../../engine/pg/jobs.ts';
import { createProjection } from '../../engine/projection/projection.ts';
import { readOpenJobs } from '../../engine/redis/open-jobs.ts';
import { startHoldingProxy } from '../race/support/holding-proxy.ts';
import { cleanups, startTestEngine, type TestEngine } from '../support/engine.ts';
import { emptyRedis } from '../support/redis-keys.ts';

let t: TestEngine;
beforeAll(async () => {
  t = await startTestEngine();
});

/** The same engine's stores; `heard` is told of the rows that each statement reads. */
function listening(heard: (rows: readonly Record<string, unknown>[]) => void): EngineContext {
  const execute = async (query: SQL) => {
    const rows = await t.ctx.db.execute(query);
    heard(rows);
    return rows;
  };
  return { ...t.ctx, db: Object.assign(Object.create(t.ctx.db), { execute }) };
}

it('a zone of thousands of jobs is read in parts, each of which has its own deadline', async () => {
  const COPIES = 3000;
  const { id, zone } = await t.post();
  await t.ctx.db.execute(sql`
    insert into jobs (id, zone, customer_id, address, total_price, radius_km, settled_version)
    select id || '-' || n, zone, customer_id, address, total_price, radius_km, 1
    from jobs, generate_series(1, ${COPIES}::int) n where id = ${id}`);
  await emptyRedis(t.ctx.redis);
  let largest = 0;
  const ctx = listening((rows) => {
    const jobs = rows.filter((row) => row.address !== undefined);
    largest = Math.max(largest, jobs.length);
  });
  await createProjection(ctx).rebuild(zone);
  expect((await readOpenJobs(t.ctx.redis, zone))?.jobs).toHaveLength(1 + COPIES);
  expect(largest).toBeGreaterThan(0);
  expect(largest).toBeLessThanOrEqual(COPIES / 2);
});

it('a Postgres that owes an answer is waited for no longer than for a page', async () => {
  const proxy = await startHoldingProxy(t.databaseUrl);
  cleanups.push(() => proxy.close());
  const pg = connectPg(proxy.url);
  cleanups.push(() => pg.close());
  await t.driver('d1');
  const { id, zone } = await t.post();
  await t.engine.jobs.confirm(id, 'operator:o');
  const row = await findJob(pg.db, id);
  if (!row) throw new Error('no such job');
  await emptyRedis(t.ctx.redis);
  proxy.hold('answers');
  const ctx = { ...t.ctx, db: pg.db };
  const projection = createProjection(ctx);
  const drivers = createDrivers({ ...ctx, elapsed: () => performance.now(), onTracked: () => {} });
  try {
    await Promise.all(
      [drivers.ensure(), projection.put(row), projection.rebuild(zone)].map((filled) =>
        expect(filled).rejects.toThrow(TryAgainError),
      ),
    );
  } finally {
    proxy.cut();
  }
});
