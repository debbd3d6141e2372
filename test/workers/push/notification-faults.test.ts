/** The critical lane when something goes wrong in the middle: what is told then, and how often. */

import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sql } from '../../../engine/pg/drizzle.ts';
import { findNotification, takeUndone } from '../../../engine/pg/notifications.ts';
import { listAttempts } from '../../../engine/pg/push-attempts.ts';
import { createCriticalLane } from '../../../workers/push/critical.ts';
import type { PushAgain } from '../../../workers/push/push-again.ts';
import { backoffMs } from '../../../workers/queues.ts';
import { startMaintenance } from '../../support/maintenance.ts';
import { startTestPush, type TestPush } from '../../support/push.ts';
import { addDrivers, addPhone, phoneOf } from '../../support/push-people.ts';
import { until } from '../../support/until.ts';

const HOUR_MS = 3_600_000;

let t: TestPush;
const pushes = (jobId: string) => t.simulator.phones.records(jobId);

describe('a notification', () => {
  let bobsJob: string;
  let notification: string;
  beforeAll(async () => {
    t = await startTestPush();
    await addPhone(t, 'bob', 'customer');
    const [id = ''] = await addDrivers(t, 1);
    bobsJob = (await t.post({ customerId: 'bob' })).id;
    await t.engine.jobs.claim(bobsJob, id);
    notification = (await until(async () => (await takeUndone(t.ctx.db, 0, 1))[0])) as string;
  });

  it('that Apple does not take is tried until it is an hour old, then done', async () => {
    const busy = { status: 503, reason: 'ServiceUnavailable' };
    t.simulator.faults.setAnswer(phoneOf('bob'), busy);
    const notify = (afterMs: number) => {
      const engine = { ...t.engine, now: () => Date.now() + afterMs };
      return createCriticalLane(engine, t.sender).notify({ notification_id: notification });
    };
    const doneAt = async () => (await findNotification(t.ctx.db, notification))?.doneAt;
    for (const minutes of [0, 10, 59]) {
      await expect(notify(minutes * 60_000)).rejects.toThrow(
        'driver_assigned to customer bob: ServiceUnavailable',
      );
      expect(await doneAt()).toBeNull();
    }
    expect(await notify(HOUR_MS + 1000)).toMatch(/too late/);
    expect(await doneAt()).not.toBeNull();
    expect(await notify(0)).toBe('was done before');
    expect(pushes(bobsJob).filter((push) => push.token === phoneOf('bob'))).toHaveLength(3);
  });

  it('handed over twice is one task; what is no task fails for good and says so', async () => {
    const { critical, nearby } = t.queues.byLane;
    await critical.obliterate({ force: true });
    await nearby.obliterate({ force: true });
    for (let i = 0; i < 2; i++) {
      expect(await t.queues.tasks.enqueueNotifications([{ id: notification }])).toBe(
        i === 0 ? 1 : 0,
      );
      expect(await t.queues.tasks.enqueueWave(bobsJob, 1)).toBe(i === 0);
    }
    // A task that waits is no repair.
    const repairs: string[] = [];
    const metrics = { ...t.ctx.metrics, reconciled: (kind: string) => repairs.push(kind) };
    await t.ctx.db.execute(sql`
      update notifications set enqueued_at = now() - interval '1 minute' where id = ${notification}`);
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
    await nearby.add('garbage', { job_id: bobsJob, wave: -1 }, { attempts: 3 });
    await t.startWorker();
    for (const queue of [critical, nearby]) {
      const failed = await until(async () => (await queue.getFailed())[0]);
      expect(failed).toMatchObject({ name: 'garbage', attemptsMade: 1 });
      expect(failed.failedReason).toBe('this is not a task of this queue');
    }
    await until(async () => (await critical.getCompletedCount()) === 1);
    await t.queues.tasks.enqueueNotifications([{ id: notification }]);
    await until(async () => (await critical.getCompletedCount()) === 2);
  });
});

describe('a notification that comes late', () => {
  beforeAll(async () => {
    t = await startTestPush();
  });
  beforeEach(() => t.simulator.faults.clear());
  let customers = 0;
  /** Of a job that was taken, and given back if it is said. */
  async function notifications(phones: number, givenBack = false) {
    const customer = `customer${++customers}`;
    await addPhone(t, customer, 'customer', phones);
    const [id = ''] = await addDrivers(t, 1);
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
      const { customer, job, ids } = await notifications(1, true);
      const [older = '', newer = ''] = ids;
      t.simulator.faults.setAnswer(phoneOf(customer), { status });
      expect(await again(older)).toMatchObject({ count: 1 });
      t.simulator.faults.clear();
      expect(await notify(newer)).toMatch(/1 phones/);
      expect(await notify(older, 6000)).toMatch(/a newer one about the same job was sent/);
      expect(await findNotification(t.ctx.db, older)).toMatchObject({ doneAt: expect.any(Number) });
      const shown = t.simulator.phones.shown(phoneOf(customer));
      expect(shown).toMatchObject([{ job_id: job.id, version: 3 }]);
    },
  );

  it('that met a 500 is sent once more soon, then after a quarter of an hour', async () => {
    const { customer, job, ids } = await notifications(1);
    const [id = ''] = ids;
    const broken = { status: 500, reason: 'InternalServerError' };
    t.simulator.faults.setAnswer(phoneOf(customer), broken);
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
    const { customer, job, ids } = await notifications(2);
    const [id = ''] = ids;
    const [throttled, busy] = [phoneOf(customer, 0), phoneOf(customer, 1)];
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
    const { customer, job, ids } = await notifications(1);
    const [notificationId = ''] = ids;
    const { record } = await t.engine.pushes.recordOf(notificationId);
    await record.begin([{ place: 0, token: phoneOf(customer) }]);
    expect((await again(notificationId)).atLeastMs).toBeGreaterThan(0);
    expect(pushes(job.id)).toEqual([]);
    t.simulator.faults.add({ kind: 'kill', count: 1 });
    expect(await notify(notificationId, 26_000)).toMatch(/1 phones/);
    const attempts = await listAttempts(t.ctx.db, { notificationId });
    expect(attempts.map(({ reason }) => reason)).toEqual([null, 'connection_lost']);
  });
});
