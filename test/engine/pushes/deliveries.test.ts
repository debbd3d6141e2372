/** Deliveries: one row for a job and gateway, each driver once, with the time of his first. */
import { sql } from 'drizzle-orm';
import { expect, it } from 'vitest';
import { saveDeliveries } from '../../../engine/pg/deliveries.ts';
import { firstDeliveries } from '../../../engine/pg/explain.ts';
import { startTestEngine } from '../../support/engine.ts';

it('are appended to the row of their gateway, and counted once', async () => {
  const { ctx } = await startTestEngine();
  const { db } = ctx;
  await saveDeliveries(db, 'g1', [
    { jobId: 'j1', driverIds: ['ann', 'bob'] },
    { jobId: 'j2', driverIds: ['ann'] },
  ]);
  await db.execute(sql`update deliveries set at = at - interval '10 seconds'`);
  await saveDeliveries(db, 'g1', [{ jobId: 'j1', driverIds: ['bob', 'cid'] }]);
  await saveDeliveries(db, 'g2', [{ jobId: 'j1', driverIds: ['ann'] }]);
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

it('have the time at which they were made, however late they are written', async () => {
  const { ctx } = await startTestEngine();
  const { db } = ctx;
  const times = async () => {
    const first = await firstDeliveries(db, 'j1');
    const of = (id: string) => Date.parse(first.get(id) ?? '');
    return { ann: of('ann'), bob: of('bob'), cid: of('cid') };
  };
  await saveDeliveries(db, 'g1', [
    { jobId: 'j1', driverIds: ['ann', 'bob'], agoMs: [900, 60_000] },
  ]);
  const before = await times();
  expect(before.ann - before.bob).toBe(59_100);
  // Whom the row names keeps his time; the others are put before and after it.
  await db.execute(sql`update deliveries set at = at - interval '10 minutes'`);
  await saveDeliveries(db, 'g1', [{ jobId: 'j1', driverIds: ['cid', 'ann'], agoMs: [30_000, 0] }]);
  const after = await times();
  expect(after.ann - before.ann).toBe(-600_000);
  expect(after.cid - after.bob).toBeGreaterThanOrEqual(600_000 + 30_000);
  expect(after.cid - after.ann).toBeGreaterThanOrEqual(600_000 - 59_100 + 30_000);
});
