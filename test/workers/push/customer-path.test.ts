/** From a claim to the customer's phone: what he is pushed, how often, and when it is done. */
import { beforeAll, describe, expect, it } from 'vitest';
import { countUndone } from '../../../engine/pg/notifications.ts';
import { listAttempts } from '../../../engine/pg/push-attempts.ts';
import { startMaintenance } from '../../support/maintenance.ts';
import { startTestPush, type TestPush } from '../../support/push.ts';
import { addDrivers, addPhone, phoneOf } from '../../support/push-people.ts';
import { until } from '../../support/until.ts';

let t: TestPush;
const driver = async () => (await addDrivers(t, 1))[0] ?? '';
const pushes = (jobId: string, user: string) =>
  t.simulator.phones.records(jobId).filter(({ token }) => token === phoneOf(user));
const undone = () => countUndone(t.ctx.db, 0);

beforeAll(async () => {
  t = await startTestPush();
  await t.startWorker();
});

describe('the customer', () => {
  it('is pushed once when a driver accepts, and the notification is done', async () => {
    await addPhone(t, 'alice', 'customer');
    const id = await driver();
    const job = await t.post({ customerId: 'alice' });
    await t.engine.jobs.claim(job.id, id);
    await until(() => pushes(job.id, 'alice').length === 1);
    expect(pushes(job.id, 'alice')[0]).toMatchObject({
      topic: 'app.muster.customer',
      payload: {
        aps: { alert: { title: 'Driver Assigned', body: 'A driver has accepted your job!' } },
        job_id: job.id,
        type: 'job_update',
        version: 2,
      },
    });
    await until(async () => (await undone()) === 0);
    expect(pushes(job.id, 'alice')).toHaveLength(1);
  });

  it('without a phone is done at once', async () => {
    const id = await driver();
    const job = await t.post({ customerId: 'nophone' });
    await t.engine.jobs.claim(job.id, id);
    await until(async () => (await undone()) === 0);
  });

  it('is told late rather than never when Apple is busy', async () => {
    await addPhone(t, 'bob', 'customer');
    const id = await driver();
    t.simulator.faults.setAnswer(phoneOf('bob'), { status: 503, reason: 'ServiceUnavailable' });
    const job = await t.post({ customerId: 'bob' });
    await t.engine.jobs.claim(job.id, id);
    await until(() => pushes(job.id, 'bob').length >= 2);
    t.simulator.faults.setAnswer(phoneOf('bob'), null);
    await until(() => pushes(job.id, 'bob').some((p) => p.status === 200));
    await until(async () => (await undone()) === 0);
    expect(pushes(job.id, 'bob').filter((p) => p.status === 200)).toHaveLength(1);
  });

  it('is told although the task was lost: the maintenance hands it over again', async () => {
    await addPhone(t, 'carol', 'customer');
    const id = await driver();
    const job = await t.post({ customerId: 'carol' });
    await t.queues.byLane.critical.pause();
    await t.engine.jobs.claim(job.id, id);
    await until(async () => (await t.queues.byLane.critical.getJobCountByTypes('wait')) > 0);
    await t.queues.byLane.critical.obliterate({ force: true });
    await t.queues.byLane.critical.resume();
    const maintenance = startMaintenance(t);
    await until(() => pushes(job.id, 'carol').length === 1, { timeoutMs: 25_000 });
    await maintenance.close();
    expect(pushes(job.id, 'carol')).toHaveLength(1);
  });

  it('is pushed again, under one collapse id, when nobody knows what became of it', async () => {
    await addPhone(t, 'dave', 'customer');
    const id = await driver();
    const job = await t.post({ customerId: 'dave' });
    await until(() => pushes(job.id, id).length === 1);
    await until(async () => (await t.queues.byLane.nearby.getActiveCount()) === 0);
    t.simulator.faults.add({ kind: 'kill', count: 1 });
    await t.engine.jobs.claim(job.id, id);
    await until(() => pushes(job.id, 'dave').length === 1);
    await until(async () => (await undone()) === 0);
    const attempts = (await listAttempts(t.ctx.db, { jobId: job.id })).filter(
      (a) => a.userId === 'dave',
    );
    expect(attempts.map((a) => a.outcome)).toEqual(['unknown', 'sent']);
    expect(t.simulator.phones.shown(phoneOf('dave'))).toHaveLength(1);
  });

  it('is pushed no more than twice when no answer ever comes', async () => {
    await addPhone(t, 'erin', 'customer');
    const id = await driver();
    const job = await t.post({ customerId: 'erin' });
    await until(() => pushes(job.id, id).length === 1);
    await until(async () => (await t.queues.byLane.nearby.getActiveCount()) === 0);
    t.simulator.faults.add({ kind: 'kill', count: 10 });
    await t.engine.jobs.claim(job.id, id);
    await until(async () => (await undone()) === 0, { timeoutMs: 30_000 });
    t.simulator.faults.clear();
    const attempts = (await listAttempts(t.ctx.db, { jobId: job.id })).filter(
      (a) => a.userId === 'erin',
    );
    expect(attempts.map((a) => a.outcome)).toEqual(['unknown', 'unknown']);
  });
});
