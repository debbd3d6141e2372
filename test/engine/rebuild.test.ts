/** Redis filled from Postgres: zones of any size, and a Postgres that does not answer meanwhile. */
import { type SQL, sql } from 'drizzle-orm';
import { beforeAll, expect, it } from 'vitest';
import type { EngineContext } from '../../engine/context.ts';
import { rebuildZone } from '../../engine/rebuild.ts';
import { readOpenJobs } from '../../engine/redis/open-jobs.ts';
import { startTestEngine, type TestEngine } from '../support/engine.ts';

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
  await t.ctx.redis.flushall();
  let largest = 0;
  const ctx = listening((rows) => {
    const jobs = rows.filter((row) => row.address !== undefined);
    largest = Math.max(largest, jobs.length);
  });
  await rebuildZone(ctx, zone);
  expect((await readOpenJobs(t.ctx.redis, zone))?.jobs).toHaveLength(1 + COPIES);
  expect(largest).toBeGreaterThan(0);
  expect(largest).toBeLessThanOrEqual(COPIES / 2);
});
