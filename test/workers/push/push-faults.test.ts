/** The nearby lane when something goes wrong in the middle: who is pushed then, and how often. */
import postgres from 'postgres';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { listAttempts } from '../../../engine/pg/push-attempts.ts';
import { keys } from '../../../engine/redis/keys.ts';
import type { PushAgain } from '../../../workers/push/push-again.ts';
import { startTestPush, type TestPush } from '../../support/push.ts';
import { addDrivers, phoneOf, postUnpushed } from '../../support/push-people.ts';
import { until } from '../../support/until.ts';

let t: TestPush;
const running = () => new AbortController().signal;
const pushes = (jobId: string) => t.simulator.phones.records(jobId);

describe('a window', () => {
  beforeAll(async () => {
    t = await startTestPush();
  });
  beforeEach(() => t.simulator.faults.clear());

  it('that could not be put on record is pushed later, to everybody once', async () => {
    const ids = await addDrivers(t, 3);
    const job = await t.post();
    const other = postgres(t.databaseUrl, { max: 1 });
    await other.begin(async (locking) => {
      await locking`lock table push_windows in access exclusive mode`;
      await t.startWorker();
      const { nearby } = t.queues.byLane;
      const task = await until(async () => (await nearby.getDelayed())[0]);
      expect(task.failedReason).toBe('canceling statement due to lock timeout');
    });
    await other.end();
    await until(() => pushes(job.id).length >= ids.length);
    await until(async () => (await t.queues.byLane.nearby.getActiveCount()) === 0);
    const tokens = pushes(job.id).map((push) => push.token);
    expect(tokens.sort()).toEqual(ids.map((id) => phoneOf(id)).sort());
  });

  it('of a worker that stops before it is sent is left for another', async () => {
    const stopping = AbortSignal.abort(new Error('stopping'));
    const [id = ''] = await addDrivers(t, 1);
    const { job, task, lane } = await postUnpushed(t);
    await expect(lane.push(task, stopping)).rejects.toThrow('stopping');
    expect(await lane.push(task, running())).toMatch(/: [1-9]\d* sent/);
    expect(pushes(job.id).filter((push) => push.token === phoneOf(id))).toHaveLength(1);
    expect(await lane.push(task, running())).toMatch(/: 0 sent/);
  });

  it('holds 100 phones at most, however many a driver has: a claim silences the others', async () => {
    const ids = await addDrivers(t, 30, { phones: 5 });
    const { job, task, lane } = await postUnpushed(t);
    t.simulator.faults.add({ kind: 'delay', ms: 300 });
    const done = lane.push(task, running());
    await until(async () => (await listAttempts(t.ctx.db, { jobId: job.id })).length > 0);
    await t.engine.jobs.claim(job.id, ids[0] ?? '');
    expect(await done).toMatch(/taken or closed/);
    expect(pushes(job.id).length).toBeGreaterThan(0);
    expect(pushes(job.id).length).toBeLessThanOrEqual(100);
  });
});

describe('an offer', () => {
  beforeAll(async () => {
    t = await startTestPush();
  });
  const pushedIn = (jobId: string) => pushes(jobId).map((push) => push.token);

  it('is not pushed to who refused it, went offline or was suspended since', async () => {
    const [declined = '', offline = '', suspended = '', left = ''] = await addDrivers(t, 4);
    const { job, task, lane } = await postUnpushed(t);
    await t.engine.jobs.decline(job.id, declined, null);
    await t.engine.drivers.setAvailability(offline, false);
    await t.engine.drivers.change(suspended, { approvalStatus: 'suspended' });
    await lane.push(task, running());
    expect(pushedIn(job.id)).toEqual([phoneOf(left)]);
    for (const id of [declined, left]) await t.engine.drivers.setAvailability(id, false);
  });

  it('of a job that is missing from its zone is pushed while its row is open', async () => {
    const [id = ''] = await addDrivers(t, 1);
    const { job, task, lane } = await postUnpushed(t);
    await t.ctx.redis.del(keys.job(job.zone, job.id));
    expect(await lane.push(task, running())).toMatch(/: 1 sent$/);
    expect(pushedIn(job.id)).toEqual([phoneOf(id)]);
    const other = await postUnpushed(t);
    await t.engine.jobs.cancel(other.job.id, 'customer:c1', null);
    await t.ctx.redis.del(keys.job(other.job.zone, other.job.id));
    expect(await other.lane.push(other.task, running())).toMatch(/taken or closed/);
    expect(pushes(other.job.id)).toEqual([]);
    await t.engine.drivers.setAvailability(id, false);
  });

  it('that Apple never accepts fails where an operator sees it, and is done', async () => {
    const [id = ''] = await addDrivers(t, 1);
    const { task, lane } = await postUnpushed(t);
    t.simulator.faults.setAnswer(phoneOf(id), { status: 413, reason: 'PayloadTooLarge' });
    const failed = lane.push(task, running());
    await expect(failed).rejects.toThrow('job offer: 413 PayloadTooLarge');
    expect(await lane.push(task, running())).toMatch(/: 0 sent$/);
    await t.engine.drivers.setAvailability(id, false);
  });

  it('leaves a phone that Apple throttles alone, and sends to the others meanwhile', async () => {
    const [throttled = '', busy = ''] = await addDrivers(t, 2);
    const { job, task, lane } = await postUnpushed(t);
    const { faults } = t.simulator;
    faults.setAnswer(phoneOf(throttled), { status: 429, reason: 'TooManyRequests' });
    faults.setAnswer(phoneOf(busy), { status: 503, reason: 'ServiceUnavailable' });
    const first = await lane.push(task, running()).catch((error: PushAgain) => error);
    expect(first).toMatchObject({ count: 2, atLeastMs: 0 });
    faults.setAnswer(phoneOf(busy), null);
    const second = await lane.push(task, running()).catch((error: PushAgain) => error);
    expect(second).toMatchObject({ message: 'job offer: TooManyRequests', count: 1 });
    const waits = (second as PushAgain).atLeastMs;
    expect(waits).toBeGreaterThan(0);
    expect(waits).toBeLessThanOrEqual(5000);
    const times = (id: string) => pushedIn(job.id).filter((token) => token === phoneOf(id)).length;
    expect([times(throttled), times(busy)]).toEqual([1, 2]);
  });
});
