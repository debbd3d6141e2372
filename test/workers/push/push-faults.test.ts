/** The push path when something goes wrong in the middle: who is pushed then, and how often. */
import postgres from 'postgres';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  deviceTokensOf,
  findNotification,
  listAttempts,
  saveDeviceToken,
  takeUndone,
} from '../../../engine/pg/notifications.ts';
import { findWave } from '../../../engine/pg/waves.ts';
import { createCriticalLane } from '../../../workers/push/critical.ts';
import { createNearbyLane } from '../../../workers/push/nearby.ts';
import { startTestPush, type TestPush } from '../../support/push.ts';
import { until } from '../../support/until.ts';

const HOUR_MS = 3_600_000;

let t: TestPush;
let count = 0;
const tokenOf = (user: string, phone = 0) =>
  Buffer.from(`${user}/${phone}`.padEnd(32, '.')).toString('hex');
async function register(userId: string, app: 'driver' | 'customer', phones = 1) {
  for (let phone = 0; phone < phones; phone++) {
    const token = tokenOf(userId, phone);
    await saveDeviceToken(t.ctx.db, { token, userId, app, environment: 'sandbox' });
  }
}
async function drivers(howMany: number, phones = 1) {
  const ids = Array.from({ length: howMany }, () => `driver${++count}`);
  for (const id of ids) {
    await t.driver(id);
    await register(id, 'driver', phones);
  }
  return ids;
}
/** A job whose candidates are known, with nobody but the test to push them. */
async function postUnpushed() {
  await t.queues.byLane.nearby.pause();
  const job = await t.post();
  await until(async () => (await findWave(t.ctx.db, job.id, 1))?.chosen);
  const task = { job_id: job.id, wave: 1, from: 0, count: 200 };
  return { job, task, lane: createNearbyLane(t.ctx, t.sender) };
}
const running = () => new AbortController().signal;
const pushes = (jobId: string) => t.simulator.phones.records(jobId);

describe('a window', () => {
  beforeAll(async () => {
    t = await startTestPush();
  });
  beforeEach(() => t.simulator.faults.clear());

  it('that could not be put on record is pushed later, to everybody once', async () => {
    const ids = await drivers(3);
    const job = await t.post();
    const sql = postgres(t.databaseUrl, { max: 1 });
    await sql.begin(async (locking) => {
      await locking`lock table push_attempts in access exclusive mode`;
      await t.startWorker();
      const { nearby } = t.queues.byLane;
      const task = await until(async () => (await nearby.getDelayed())[0]);
      expect(task.failedReason).toBe('canceling statement due to statement timeout');
    });
    await sql.end();
    await until(() => pushes(job.id).length >= ids.length);
    await until(async () => (await t.queues.byLane.nearby.getActiveCount()) === 0);
    const tokens = pushes(job.id).map((push) => push.token);
    expect(tokens.sort()).toEqual(ids.map((id) => tokenOf(id)).sort());
  });

  it('of a worker that stops before it is sent is left for another', async () => {
    const stopping = AbortSignal.abort(new Error('stopping'));
    const [id = ''] = await drivers(1);
    const { job, task, lane } = await postUnpushed();
    await expect(lane.chunk(task, stopping)).rejects.toThrow('stopping');
    expect(await lane.chunk(task, running())).toMatch(/phones of/);
    expect(pushes(job.id).filter((push) => push.token === tokenOf(id))).toHaveLength(1);
    expect(await lane.chunk(task, running())).toMatch(/^0 phones of/);
  });

  it('holds 50 phones at most, however many a driver has: a claim silences the others', async () => {
    const ids = await drivers(30, 5);
    const { job, task, lane } = await postUnpushed();
    t.simulator.faults.add({ kind: 'delay', ms: 300 });
    const done = lane.chunk(task, running());
    await until(async () => (await listAttempts(t.ctx.db, { jobId: job.id })).length > 0);
    await t.engine.claim(job.id, ids[0] ?? '');
    expect(await done).toMatch(/taken or closed/);
    expect(pushes(job.id).length).toBeGreaterThan(0);
    expect(pushes(job.id).length).toBeLessThanOrEqual(50);
  });
});

describe('a notification', () => {
  let bobsJob: string;
  let note: string;
  beforeAll(async () => {
    t = await startTestPush();
    await register('bob', 'customer');
    const [id = ''] = await drivers(1);
    bobsJob = (await t.post({ customerId: 'bob' })).id;
    await t.engine.claim(bobsJob, id);
    note = (await until(async () => (await takeUndone(t.ctx.db, 0, 1))[0])) as string;
  });

  it('that Apple does not take is tried until it is an hour old, then done', async () => {
    const busy = { status: 503, reason: 'ServiceUnavailable' };
    t.simulator.faults.setAnswer(tokenOf('bob'), busy);
    const notify = (afterMs: number) => {
      const ctx = { ...t.ctx, now: () => Date.now() + afterMs };
      return createCriticalLane(ctx, t.sender).notify({ notification_id: note });
    };
    const doneAt = async () => (await findNotification(t.ctx.db, note))?.doneAt;
    for (const minutes of [0, 10, 59]) {
      await expect(notify(minutes * 60_000)).rejects.toThrow(
        'driver_assigned to customer bob: ServiceUnavailable',
      );
      expect(await doneAt()).toBeNull();
    }
    expect(await notify(HOUR_MS + 1000)).toMatch(/too late/);
    expect(await doneAt()).not.toBeNull();
    expect(await notify(0)).toBe('was done before');
    expect(pushes(bobsJob).filter((push) => push.token === tokenOf('bob'))).toHaveLength(3);
  });

  it('handed over twice is one task; what is no task fails for good and says so', async () => {
    const { critical, nearby } = t.queues.byLane;
    await critical.obliterate({ force: true });
    await nearby.obliterate({ force: true });
    for (let i = 0; i < 2; i++) {
      await t.queues.tasks.enqueueNotifications([{ id: note }]);
      await t.queues.tasks.enqueueWave(bobsJob, 1);
    }
    expect(await critical.getWaitingCount()).toBe(1);
    expect((await nearby.getWaiting()).map((task) => task.name)).toEqual([
      `New Job Nearby, wave 1 → job ${bobsJob}`,
    ]);
    await critical.add('garbage', { notification_id: 7 }, { attempts: 3 });
    await nearby.add('garbage', { job_id: bobsJob, wave: 1, from: -1, count: 1 }, { attempts: 3 });
    await t.startWorker();
    for (const queue of [critical, nearby]) {
      const failed = await until(async () => (await queue.getFailed())[0]);
      expect(failed).toMatchObject({ name: 'garbage', attemptsMade: 1 });
      expect(failed.failedReason).toBe('this is not a task of this queue');
    }
    await until(async () => (await critical.getCompletedCount()) === 1);
    await t.queues.tasks.enqueueNotifications([{ id: note }]);
    await until(async () => (await critical.getCompletedCount()) === 2);
  });
});

describe('a mix-up of sandbox and production', () => {
  it('does not erase the token table', async () => {
    t = await startTestPush();
    const ids = await drivers(40);
    for (const id of ids) {
      t.simulator.faults.setAnswer(tokenOf(id), { status: 400, reason: 'BadDeviceToken' });
    }
    const job = await t.post();
    await t.startWorker();
    await until(async () => {
      const attempts = await listAttempts(t.ctx.db, { jobId: job.id });
      return attempts.length === 40 && attempts.every((a) => a.outcome === 'rejected');
    });
    expect(await deviceTokensOf(t.ctx.db, 'driver', ids)).toHaveLength(35);
  });
});
