/** Deliveries: one row for a job and gateway, each driver once, with the time of his first. */
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { expect, it } from 'vitest';
import { saveDeliveries } from '../../../engine/pg/deliveries.ts';
import { sql } from '../../../engine/pg/drizzle.ts';
import { firstDeliveries } from '../../../engine/pg/explain.ts';
import { createDeliveries } from '../../../engine/pushes/deliveries.ts';
import { delivered } from '../../support/delivered.ts';
import { cleanups, startTestEngine } from '../../support/engine.ts';
import { until } from '../../support/until.ts';

it('are appended to the row of their gateway, and counted once', async () => {
  const { ctx } = await startTestEngine();
  const { db } = ctx;
  await saveDeliveries(db, 'g1', [delivered('j1', 'ann', 'bob'), delivered('j2', 'ann')]);
  await db.execute(sql`update deliveries set at = at - interval '10 seconds'`);
  await saveDeliveries(db, 'g1', [delivered('j1', 'bob', 'cid')]);
  await saveDeliveries(db, 'g2', [delivered('j1', 'ann')]);
  // A gateway of the version before.
  await db.execute(
    sql`insert into job_deliveries (job_id, driver_ids) values ('j1', '{"dan","ann"}')`,
  );
  const rows = await db.execute<{ ids: string[] }>(sql`
    select to_jsonb(driver_ids) as ids from deliveries where job_id = 'j1' order by gateway`);
  expect(rows.map(({ ids }) => ids)).toEqual([['ann', 'bob', 'cid'], ['ann']]);
  const first = await firstDeliveries(db, 'j1');
  expect([...first.keys()].slice(0, 2).sort()).toEqual(['ann', 'bob']);
  expect(first.size).toBe(4);
  const waited = Date.parse(first.get('cid') ?? '') - Date.parse(first.get('bob') ?? '');
  expect(waited).toBeGreaterThanOrEqual(10_000);
});

it('are told as of when they were, however long Postgres takes them', async () => {
  const { ctx, databaseUrl } = await startTestEngine();
  const admin = postgres(databaseUrl, { max: 1, onnotice: () => {} });
  cleanups.push(() => admin.end());
  const deliveries = createDeliveries(ctx);
  cleanups.push(() => deliveries.close());
  const row = async (id: string) => (await firstDeliveries(ctx.db, 'slow')).get(id);
  deliveries.add('slow', 'ann');
  await until(async () => (await row('ann')) !== undefined);
  const freeAt = await admin.begin(async (tx) => {
    await tx`lock table deliveries in exclusive mode`;
    deliveries.add('slow', 'bob');
    deliveries.add('other', 'bob');
    // Longer than a statement waits for a lock: it is tried again.
    await sleep(3000);
    return Date.now();
  });
  await until(async () => (await row('bob')) !== undefined);
  expect(Date.parse((await row('bob')) ?? '')).toBeLessThan(freeAt);
  const [at] = (await firstDeliveries(ctx.db, 'other')).values();
  expect(Date.parse(at ?? '')).toBeLessThan(freeAt);
});
