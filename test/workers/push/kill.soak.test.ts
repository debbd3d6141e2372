/**
 * Workers die in the middle of their pushes, and Redis forgets everything in the middle of others:
 * no driver is pushed twice in a wave, and every customer is told.
 */
import { once } from 'node:events';
import { beforeAll, describe, expect, it } from 'vitest';
import { sql } from '../../../engine/pg/drizzle.ts';
import { countUndone } from '../../../engine/pg/notifications.ts';
import { startTestPush, type TestPush } from '../../support/push.ts';
import { addNotifications, addPhones, postTo, tally, tokenOf } from '../../support/push-crowd.ts';
import { emptyRedis } from '../../support/redis-keys.ts';
import { until } from '../../support/until.ts';
import { forkWorker } from '../../support/worker-process.ts';

const DRIVERS = 4500;
const CUSTOMERS = 500;
const KILLS = 5;
const PATIENCE_MS = 120_000;

let t: TestPush;
let drivers: string[];
let customers: string[];

beforeAll(async () => {
  t = await startTestPush();
  drivers = Array.from({ length: DRIVERS }, (_, i) => `d${i}`);
  customers = Array.from({ length: CUSTOMERS }, (_, i) => `c${i}`);
  await addPhones(t, 'driver', drivers);
  await addPhones(t, 'customer', customers);
  // Slow enough that there is a middle.
  t.simulator.faults.add({ kind: 'delay', ms: 100 });
});

const arrived = (jobId: string) => t.simulator.phones.records(jobId);
const told = (since: number) =>
  t.simulator.phones
    .records()
    .slice(since)
    .filter((one) => one.topic.endsWith('customer'));

/** A wave to every driver and a notification to every customer, handed over. */
async function handOver(): Promise<{ jobId: string; since: number }> {
  const since = t.simulator.phones.records().length;
  const jobId = await postTo(t, drivers);
  const notifications = await addNotifications(t, customers);
  await t.queues.byLane.nearby.resume();
  await t.queues.tasks.enqueueWave(jobId, 1);
  await t.queues.tasks.enqueueNotifications(notifications.map((id) => ({ id })));
  return { jobId, since };
}

async function allDone(jobId: string): Promise<void> {
  await until(
    async () => {
      const [wave] = await t.ctx.db.execute<{ done: boolean }>(sql`
        select pushed_at is not null as done from job_waves where job_id = ${jobId}`);
      return wave?.done && (await countUndone(t.ctx.db, 0)) === 0;
    },
    { timeoutMs: PATIENCE_MS, what: 'wave and notifications done' },
  );
}

async function check(jobId: string, since: number): Promise<number> {
  const { twice, never } = tally(arrived(jobId), drivers);
  expect(twice).toEqual([]);
  // Who got none was in a window whose worker died: on record as unknown, and left alone.
  const unknown = await t.ctx.db.execute<{ id: string }>(sql`
    select user_id as id from pushes where job_id = ${jobId} and outcome = 'unknown'`);
  const inDoubt = new Set(unknown.map((row) => row.id));
  expect(never.filter((id) => !inDoubt.has(id))).toEqual([]);
  expect(tally(told(since), customers).never).toEqual([]);
  return never.length;
}

describe('5 000 pushes', () => {
  it('whose worker is killed five times reach every customer, and no driver twice', async () => {
    let worker = await forkWorker(t);
    const { jobId, since } = await handOver();
    for (let kill = 1; kill <= KILLS; kill++) {
      const goal = (kill * DRIVERS) / (KILLS + 2);
      await until(() => arrived(jobId).length >= goal, { timeoutMs: PATIENCE_MS });
      worker.kill('SIGKILL');
      worker = await forkWorker(t);
    }
    await allDone(jobId);
    const missed = await check(jobId, since);
    for (const customer of customers) {
      expect(t.simulator.phones.shown(tokenOf(customer))).toHaveLength(1);
    }
    process.stdout.write(`five kills: ${missed} of ${DRIVERS} drivers not pushed\n`);
    worker.kill('SIGTERM');
    await once(worker, 'exit');
  }, 240_000);

  it('during which Redis forgets everything reach every customer, and no driver twice', async () => {
    const worker = await forkWorker(t);
    const { jobId, since } = await handOver();
    await until(() => arrived(jobId).length >= DRIVERS / 2, { timeoutMs: PATIENCE_MS });
    await emptyRedis(t.ctx.redis);
    await allDone(jobId);
    const missed = await check(jobId, since);
    process.stdout.write(`emptied Redis: ${missed} of ${DRIVERS} drivers not pushed\n`);
    worker.kill('SIGTERM');
    await once(worker, 'exit');
  }, 240_000);
});
