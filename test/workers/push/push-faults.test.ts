/** The push path when something goes wrong in the middle: who is pushed then, and how often. */
import { randomUUID } from 'node:crypto';
import { sql } from 'drizzle-orm';
import postgres from 'postgres';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { suffixOf } from '../../../engine/domain/push.ts';
import { deviceTokensOf, saveDeviceToken } from '../../../engine/pg/device-tokens.ts';
import { findNotification, takeUndone } from '../../../engine/pg/notifications.ts';
import { listAttempts, recordAttempts } from '../../../engine/pg/push-attempts.ts';
import { findWave } from '../../../engine/pg/waves.ts';
import { keys } from '../../../engine/redis/keys.ts';
import { createCriticalLane } from '../../../workers/push/critical.ts';
import { createNearbyLane } from '../../../workers/push/nearby.ts';
import type { PushAgain } from '../../../workers/push/push-again.ts';
import { backoffMs } from '../../../workers/queues.ts';
import { startMaintenance } from '../../support/maintenance.ts';
import { startTestPush, type TestPush } from '../../support/push.ts';
import { until } from '../../support/until.ts';

const HOUR_MS = 3_600_000;

let t: TestPush;
let count = 0;
const tokenOf = (user: string, phone = 0) =>
  Buffer.from(`${user.padEnd(31, '.')}${phone}`).toString('hex');
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
async function postUnpushed(count = 200) {
  await t.queues.byLane.nearby.pause();
  const job = await t.post();
  await until(async () => (await findWave(t.ctx.db, job.id, 1))?.chosen);
  const task = { job_id: job.id, wave: 1, from: 0, count };
  return { job, task, lane: createNearbyLane(t.engine, t.sender) };
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
    const other = postgres(t.databaseUrl, { max: 1 });
    await other.begin(async (locking) => {
      await locking`lock table push_attempts in access exclusive mode`;
      await t.startWorker();
      const { nearby } = t.queues.byLane;
      const task = await until(async () => (await nearby.getDelayed())[0]);
      expect(task.failedReason).toBe('canceling statement due to lock timeout');
    });
    await other.end();
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

  it('holds 100 phones at most, however many a driver has: a claim silences the others', async () => {
    const ids = await drivers(30, 5);
    const { job, task, lane } = await postUnpushed();
    t.simulator.faults.add({ kind: 'delay', ms: 300 });
    const done = lane.chunk(task, running());
    await until(async () => (await listAttempts(t.ctx.db, { jobId: job.id })).length > 0);
    await t.engine.jobs.claim(job.id, ids[0] ?? '');
    expect(await done).toMatch(/taken or closed/);
    expect(pushes(job.id).length).toBeGreaterThan(0);
    expect(pushes(job.id).length).toBeLessThanOrEqual(100);
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
    await t.engine.jobs.claim(bobsJob, id);
    note = (await until(async () => (await takeUndone(t.ctx.db, 0, 1))[0])) as string;
  });

  it('that Apple does not take is tried until it is an hour old, then done', async () => {
    const busy = { status: 503, reason: 'ServiceUnavailable' };
    t.simulator.faults.setAnswer(tokenOf('bob'), busy);
    const notify = (afterMs: number) => {
      const engine = { ...t.engine, now: () => Date.now() + afterMs };
      return createCriticalLane(engine, t.sender).notify({ notification_id: note });
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
      expect(await t.queues.tasks.enqueueNotifications([{ id: note }])).toBe(i === 0 ? 1 : 0);
      expect(await t.queues.tasks.enqueueWave(bobsJob, 1)).toBe(i === 0);
    }
    // A task that waits is no repair.
    const repairs: string[] = [];
    const metrics = { ...t.ctx.metrics, reconciled: (kind: string) => repairs.push(kind) };
    await t.ctx.db.execute(sql`
      update notifications set enqueued_at = now() - interval '1 minute' where id = ${note}`);
    const maintenance = startMaintenance(t, { ...t.ctx, metrics });
    await until(async () => {
      await maintenance.tick();
      return (await takeUndone(t.ctx.db, 30_000, 1)).length === 0;
    });
    await maintenance.close();
    expect(repairs).not.toContain('notification_enqueued');
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

describe('an offer', () => {
  beforeAll(async () => {
    t = await startTestPush();
  });
  const pushedIn = (jobId: string) => pushes(jobId).map((push) => push.token);

  it('is not pushed to who refused it, went offline or was suspended since', async () => {
    const [declined = '', offline = '', suspended = '', left = ''] = await drivers(4);
    const { job, task, lane } = await postUnpushed();
    await t.engine.jobs.decline(job.id, declined, null);
    await t.engine.drivers.setAvailability(offline, false);
    await t.engine.drivers.change(suspended, { approvalStatus: 'suspended' });
    await lane.chunk(task, running());
    expect(pushedIn(job.id)).toEqual([tokenOf(left)]);
    for (const id of [declined, left]) await t.engine.drivers.setAvailability(id, false);
  });

  it('of a job that is missing from its zone is pushed while its row is open', async () => {
    const [id = ''] = await drivers(1);
    const { job, task, lane } = await postUnpushed(1);
    await t.ctx.redis.del(keys.job(job.zone, job.id));
    expect(await lane.chunk(task, running())).toBe('1 phones of 1 drivers');
    expect(pushedIn(job.id)).toEqual([tokenOf(id)]);
    const other = await postUnpushed();
    await t.engine.jobs.cancel(other.job.id, 'customer:c1', null);
    await t.ctx.redis.del(keys.job(other.job.zone, other.job.id));
    expect(await other.lane.chunk(other.task, running())).toMatch(/taken or closed/);
    expect(pushes(other.job.id)).toEqual([]);
    await t.engine.drivers.setAvailability(id, false);
  });

  it('that Apple never accepts fails where an operator sees it, and is done', async () => {
    const [id = ''] = await drivers(1);
    const { task, lane } = await postUnpushed(1);
    t.simulator.faults.setAnswer(tokenOf(id), { status: 413, reason: 'PayloadTooLarge' });
    const failed = lane.chunk(task, running());
    await expect(failed).rejects.toThrow('job offer: 413 PayloadTooLarge');
    expect(await lane.chunk(task, running())).toBe('0 phones of 1 drivers');
    await t.engine.drivers.setAvailability(id, false);
  });

  it('leaves a phone that Apple throttles alone, and sends to the others meanwhile', async () => {
    const [throttled = '', busy = ''] = await drivers(2);
    const { job, task, lane } = await postUnpushed();
    const { faults } = t.simulator;
    faults.setAnswer(tokenOf(throttled), { status: 429, reason: 'TooManyRequests' });
    faults.setAnswer(tokenOf(busy), { status: 503, reason: 'ServiceUnavailable' });
    const first = await lane.chunk(task, running()).catch((error: PushAgain) => error);
    expect(first).toMatchObject({ count: 2, atLeastMs: 0 });
    faults.setAnswer(tokenOf(busy), null);
    const second = await lane.chunk(task, running()).catch((error: PushAgain) => error);
    expect(second).toMatchObject({ message: 'job offer: TooManyRequests', count: 1 });
    const waits = (second as PushAgain).atLeastMs;
    expect(waits).toBeGreaterThan(0);
    expect(waits).toBeLessThanOrEqual(5000);
    const times = (id: string) => pushedIn(job.id).filter((token) => token === tokenOf(id)).length;
    expect([times(throttled), times(busy)]).toEqual([1, 2]);
  });
});

describe('a notice', () => {
  beforeAll(async () => {
    t = await startTestPush();
  });
  beforeEach(() => t.simulator.faults.clear());
  let customers = 0;
  /** Of a job that was taken, and given back if it is said. */
  async function notices(phones: number, givenBack = false) {
    const customer = `customer${++customers}`;
    await register(customer, 'customer', phones);
    const [id = ''] = await drivers(1);
    const job = await t.post({ customerId: customer });
    await t.engine.jobs.claim(job.id, id);
    if (givenBack) await t.engine.jobs.release(job.id, id, null);
    const rows = await t.ctx.db.execute<{ id: string }>(sql`
      select id from notifications where job_id = ${job.id} and app = 'customer' order by version`);
    return { customer, job, ids: rows.map((row) => row.id) };
  }
  const notify = (id: string, afterMs = 0) =>
    createCriticalLane({ ...t.engine, now: () => Date.now() + afterMs }, t.sender).notify({
      notification_id: id,
    });
  const again = (id: string, afterMs = 0) =>
    notify(id, afterMs).then(
      (text) => Promise.reject(new Error(text)),
      (error: PushAgain) => error,
    );

  it.each([503, 500])(
    'that met a %i and comes late does not replace a newer one',
    async (status) => {
      const { customer, job, ids } = await notices(1, true);
      const [older = '', newer = ''] = ids;
      t.simulator.faults.setAnswer(tokenOf(customer), { status });
      expect(await again(older)).toMatchObject({ count: 1 });
      t.simulator.faults.clear();
      expect(await notify(newer)).toMatch(/1 phones/);
      expect(await notify(older, 6000)).toMatch(/a newer one about the same job was sent/);
      expect(await findNotification(t.ctx.db, older)).toMatchObject({ doneAt: expect.any(Number) });
      const shown = t.simulator.phones.shown(tokenOf(customer));
      expect(shown).toMatchObject([{ job_id: job.id, version: 3 }]);
    },
  );

  it('that met a 500 is sent once more soon, then after a quarter of an hour', async () => {
    const { customer, job, ids } = await notices(1);
    const [id = ''] = ids;
    const broken = { status: 500, reason: 'InternalServerError' };
    t.simulator.faults.setAnswer(tokenOf(customer), broken);
    expect((await again(id)).atLeastMs).toBeLessThanOrEqual(3000);
    expect((await again(id)).count).toBe(1);
    expect(pushes(job.id)).toHaveLength(1);
    const { atLeastMs } = await again(id, 4000);
    expect(atLeastMs).toBeGreaterThan(14 * 60_000);
    expect(backoffMs(1, '', Object.assign(new Error(), { atLeastMs }))).toBe(atLeastMs);
    expect(pushes(job.id)).toHaveLength(2);
    await again(id, 10 * 60_000);
    expect(pushes(job.id)).toHaveLength(2);
    t.simulator.faults.clear();
    expect(await notify(id, 16 * 60_000)).toMatch(/1 phones/);
    expect(pushes(job.id)).toHaveLength(3);
  });

  it('waits for the phone that is due first, and leaves a throttled one alone', async () => {
    const { customer, job, ids } = await notices(2);
    const [id = ''] = ids;
    const [throttled, busy] = [tokenOf(customer, 0), tokenOf(customer, 1)];
    const times = (token: string) => pushes(job.id).filter((push) => push.token === token).length;
    t.simulator.faults.setAnswer(throttled, { status: 429, reason: 'TooManyRequests' });
    t.simulator.faults.setAnswer(busy, { status: 503, reason: 'ServiceUnavailable' });
    expect((await again(id)).atLeastMs).toBeLessThanOrEqual(0);
    t.simulator.faults.setAnswer(busy, null);
    expect(await again(id)).toMatchObject({ count: 1 });
    expect([times(throttled), times(busy)]).toEqual([1, 2]);
    // Each time twice as long.
    const { atLeastMs } = await again(id, 6000);
    expect(times(throttled)).toBe(2);
    expect(atLeastMs).toBeLessThanOrEqual(10_000);
    await again(id, 6000);
    expect(times(throttled)).toBe(2);
  });

  it('whose worker died is sent once more when the answer would be in, and no third time', async () => {
    const { customer, job, ids } = await notices(1);
    const [notificationId = ''] = ids;
    const notice = { app: 'customer', lane: 'critical', kind: 'driver_assigned' } as const;
    await recordAttempts(t.ctx.db, { ...notice, jobId: job.id, wave: 0, notificationId }, [
      { apnsId: randomUUID(), userId: customer, tokenSuffix: suffixOf(tokenOf(customer)) },
    ]);
    expect((await again(notificationId)).atLeastMs).toBeGreaterThan(0);
    expect(pushes(job.id)).toEqual([]);
    t.simulator.faults.add({ kind: 'kill', count: 1 });
    expect(await notify(notificationId, 26_000)).toMatch(/1 phones/);
    const attempts = await listAttempts(t.ctx.db, { notificationId });
    expect(attempts.map(({ reason }) => reason)).toEqual([null, 'connection_lost']);
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
      return attempts.length === 40 && attempts.every((a) => a.outcome !== 'unknown');
    });
    const kept = await deviceTokensOf(t.ctx.db, 'driver', ids);
    expect(kept).toHaveLength(35);
    const { nearby } = t.queues.byLane;
    const task = await until(async () => (await nearby.getDelayed())[0]);
    expect(task.failedReason).toMatch(/mix_up/);
    // What is held back is sent when it is mended, to everybody once.
    t.simulator.faults.clear();
    const taken = () => pushes(job.id).filter((push) => push.status === 200);
    await until(() => taken().length >= kept.length, { timeoutMs: 90_000 });
    await until(async () => (await nearby.getActiveCount()) === 0);
    expect(
      taken()
        .map((push) => push.token)
        .sort(),
    ).toEqual(kept.map(({ token }) => token).sort());
  }, 120_000);
});
