/**
 * A maintenance that freezes in the middle of a repair, is replaced, and goes on as if nothing had
 * happened: what it still sends is fenced by the version that it read, so nobody is told twice.
 */

import { beforeAll, describe, expect, it } from 'vitest';
import { sql } from '../../engine/pg/drizzle.ts';
import { findJob, listEvents } from '../../engine/pg/jobs.ts';
import { listNotifications } from '../../engine/pg/notifications.ts';
import { cleanups, startTestEngine, type TestEngine } from '../support/engine.ts';
import { until } from '../support/until.ts';
import { startHoldingProxy } from './support/holding-proxy.ts';
import { engineVia } from './support/muster.ts';

const PATIENCE_MS = 25_000;
const TIMES = { leaseMs: 800, heartbeatMs: 200 };

let t: TestEngine;
beforeAll(async () => {
  t = await startTestEngine({
    waves: [
      { radiusKm: 5, waitS: 3600 },
      { radiusKm: 10, waitS: 3600 },
      { radiusKm: 30, waitS: undefined },
    ],
  });
  await t.driver('d');
});

async function holderOf(): Promise<string | undefined> {
  const [row] = await t.ctx.db.execute<{ holder: string }>(
    sql`select holder from leases where name = 'maintenance'`,
  );
  return row?.holder;
}

describe('a leader that freezes and goes on after it was replaced', () => {
  it.each([
    ['job.expired', sql`expires_at = now()`],
    ['job.wave_opened', sql`next_wave_at = now()`],
  ])('repeats no %s that its successor has done', async (event, due) => {
    const proxy = await startHoldingProxy(t.databaseUrl);
    cleanups.push(() => proxy.close());
    const engine = await engineVia(t, { databaseUrl: proxy.url });
    const jobs = [await t.post(), await t.post()];
    // Its duty has read what is due and is about to write: that, and all that follows, is on its way.
    const frozen = engine.maintenance.start(TIMES);
    cleanups.push(() => frozen.close());
    await until(() => frozen.leads());
    proxy.hold('requests', event);
    for (const { id } of jobs) {
      await t.ctx.db.execute(sql`update jobs set ${due} where id = ${id}`);
    }
    await until(() => proxy.holding);
    const before = await holderOf();

    const successor = t.engine.maintenance.start(TIMES);
    cleanups.push(() => successor.close());
    const happened = async (id: string) =>
      (await listEvents(t.ctx.db, id)).filter((one) => one.type === event).length;
    for (const { id } of jobs) {
      await until(async () => (await happened(id)) > 0, { timeoutMs: PATIENCE_MS });
    }
    const holder = await holderOf();
    expect(holder).not.toBe(before);
    const rows = await Promise.all(jobs.map(({ id }) => findJob(t.ctx.db, id)));
    const waves = () => t.waves.filter(({ jobId }) => jobs.some(({ id }) => id === jobId)).length;
    await until(async () => event === 'job.expired' || waves() === 2 * jobs.length);
    const wavesBefore = waves();

    proxy.release();
    // What it had sent has been answered, and it knows that it no longer leads.
    await until(() => !frozen.leads());
    await frozen.runAll();
    expect(await holderOf()).toBe(holder);
    for (const [i, { id }] of jobs.entries()) {
      expect(await happened(id)).toBe(1);
      expect((await findJob(t.ctx.db, id))?.version).toBe(rows[i]?.version);
      const told = (await listNotifications(t.ctx.db, 'c1', 'customer', { limit: 50 })).filter(
        (note) => note.jobId === id,
      );
      expect(told).toHaveLength(event === 'job.expired' ? 1 : 0);
    }
    expect(waves()).toBe(wavesBefore);
    await frozen.close();
    await successor.close();
  });
});
