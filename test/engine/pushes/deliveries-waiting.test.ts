/** Deliveries on their way to a Postgres that is slow: one write at a time, and a limit for what waits. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { JobDeliveries } from '../../../engine/pg/deliveries.ts';
import { createDeliveries } from '../../../engine/pushes/deliveries.ts';
import { silentLog } from '../../support/engine.ts';
import { stallingDb } from '../../support/stalling-db.ts';

/** As engine/pushes/deliveries.ts. */
const SAVE_MS = 1000;
const PENDING_MAX = 100_000;
const JOBS = 100;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

function start() {
  const { db, asked } = stallingDb<JobDeliveries>();
  const warned: object[] = [];
  const log = { ...silentLog, warn: (details: object) => void warned.push(details) };
  const deliveries = createDeliveries({ db, log });
  const wrote = (write: number) =>
    Object.fromEntries((asked[write]?.rows ?? []).map((row) => [row.jobId, row.driverIds]));
  return { deliveries, asked, warned, wrote };
}

it('wait together for the write under way, and go with the next one', async () => {
  const { deliveries, asked, wrote } = start();
  for (const driver of ['ann', 'bob', 'cid', 'dan']) {
    deliveries.add('job', driver);
    await pass(SAVE_MS);
  }
  expect([asked.length, wrote(0)]).toEqual([1, { job: ['ann'] }]);
  asked[0]?.answer();
  await pass(0);
  expect([asked.length, wrote(1)]).toEqual([2, { job: ['bob', 'cid', 'dan'] }]);
  asked[1]?.answer();
  await pass(2 * SAVE_MS);
  expect(asked.length).toBe(2);
});

it('go with the next write when one failed, after a pause, each as of its time', async () => {
  const { deliveries, asked, wrote } = start();
  deliveries.add('job', 'ann');
  await pass(SAVE_MS);
  deliveries.add('job', 'ann');
  deliveries.add('job', 'bob');
  deliveries.add('other', 'bob');
  await pass(SAVE_MS);
  asked[0]?.fail();
  await pass(SAVE_MS - 1);
  expect(asked.length).toBe(1);
  await pass(1);
  expect(wrote(1)).toEqual({ job: ['ann', 'bob'], other: ['bob'] });
  expect(asked[1]?.rows[0]).toMatchObject({ ageMs: 3 * SAVE_MS, afterMs: [0, SAVE_MS] });
  asked[1]?.answer();
});

it('are dropped beyond a limit, oldest first, and the log says how many', async () => {
  const { deliveries, asked, warned } = start();
  deliveries.add('first', 'ann');
  await pass(SAVE_MS);
  // Each of three seconds fills half of what may wait.
  for (const second of [1, 2, 3]) {
    for (let i = 0; i < PENDING_MAX / 2; i++) {
      deliveries.add(`job ${second}.${i % JOBS}`, `driver ${i}`);
    }
    await pass(SAVE_MS);
  }
  asked[0]?.fail();
  await pass(SAVE_MS);
  const rows = asked[1]?.rows ?? [];
  expect(rows.reduce((sum, { driverIds }) => sum + driverIds.length, 0)).toBe(PENDING_MAX);
  expect(rows.filter(({ jobId }) => /^(first|job 1)/.test(jobId))).toEqual([]);
  expect(warned).toMatchObject([{ jobs: 1, dropped: PENDING_MAX / 2 + 1 }]);
  asked[1]?.answer();
  await pass(SAVE_MS);
  expect(warned.length).toBe(1);
});

it('are saved at the end, also those of a write that fails then', async () => {
  const { deliveries, asked, wrote } = start();
  deliveries.add('job', 'ann');
  await pass(SAVE_MS);
  deliveries.add('job', 'bob');
  let closed = false;
  const closing = deliveries.close().then(() => {
    closed = true;
  });
  asked[0]?.fail();
  await pass(0);
  expect([asked.length, wrote(1), closed]).toEqual([2, { job: ['ann', 'bob'] }, false]);
  asked[1]?.answer();
  await closing;
  await pass(2 * SAVE_MS);
  expect(asked.length).toBe(2);
});
