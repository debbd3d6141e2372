/** From the row to the phone: who is pushed what, how often, and what is on record. */
import { beforeAll, describe, expect, it } from 'vitest';
import { deviceTokensOf, saveDeviceToken } from '../../../engine/pg/device-tokens.ts';
import { takeUndone } from '../../../engine/pg/notifications.ts';
import { listAttempts } from '../../../engine/pg/push-attempts.ts';
import { HERE, northOf } from '../../support/engine.ts';
import { startMaintenance } from '../../support/maintenance.ts';
import { startTestPush, type TestPush } from '../../support/push.ts';
import { until } from '../../support/until.ts';

let t: TestPush;
let count = 0;
const tokenOf = (user: string) => Buffer.from(user.padEnd(32, '.')).toString('hex');
const register = (userId: string, app: 'driver' | 'customer') =>
  saveDeviceToken(t.ctx.db, { token: tokenOf(userId), userId, app, environment: 'sandbox' });
async function driver(at = HERE) {
  const id = `driver${++count}`;
  await t.driver(id, at);
  await register(id, 'driver');
  return id;
}
/** A place with nobody else near it. */
const AWAY = northOf(500);
const further = (at: typeof HERE) => ({ ...at, lat: at.lat + 0.05 });
const pushes = (jobId: string, user?: string) =>
  t.simulator.phones
    .records(jobId)
    .filter(({ token }) => user === undefined || token === tokenOf(user));
const undone = () => takeUndone(t.ctx.db, 0, 100);

beforeAll(async () => {
  t = await startTestPush();
  await t.startWorker();
});

describe('a new job', () => {
  it('is pushed once to every driver in range, with the words of the contract', async () => {
    const [near, edge, out] = [
      await driver(),
      await driver(northOf(29)),
      await driver(northOf(35)),
    ];
    const job = await t.post({ address: '1 Main St', totalPrice: 149.5 });
    await until(() => pushes(job.id).length >= 2);
    expect(pushes(job.id, near)).toMatchObject([
      {
        status: 200,
        topic: 'app.muster.driver',
        collapse_id: job.id,
        priority: '10',
        payload: {
          aps: {
            alert: { title: 'New Job Nearby', body: '1 Main St - $149.5' },
            sound: 'default',
            'interruption-level': 'time-sensitive',
          },
          job_id: job.id,
          type: 'job:new',
          version: 1,
        },
      },
    ]);
    expect(pushes(job.id, edge)).toHaveLength(1);
    expect(pushes(job.id, out)).toHaveLength(0);
    const attempts = await until(async () => {
      const all = await listAttempts(t.ctx.db, { jobId: job.id });
      return all.every((a) => a.outcome === 'sent') && all;
    });
    expect(attempts).toHaveLength(2);
    expect(attempts[0]).toMatchObject({ lane: 'nearby', kind: 'new_job', wave: 1, status: 200 });
  });

  it('pushes nobody twice when its task runs again', async () => {
    const id = await driver();
    const job = await t.post();
    await until(() => pushes(job.id, id).length === 1);
    await t.queues.tasks.enqueueWave(job.id, 1);
    await t.queues.tasks.enqueueWave(job.id, 1);
    const other = await t.post();
    await until(() => pushes(other.id, id).length === 1);
    await until(async () => (await t.queues.byLane.nearby.getActiveCount()) === 0);
    expect(pushes(job.id, id)).toHaveLength(1);
  });

  it('is pushed again in a new wave, but not to him who gave it back', async () => {
    const [a, b] = [await driver(), await driver()];
    const job = await t.post();
    await until(() => pushes(job.id, b).length === 1);
    await t.engine.jobs.claim(job.id, a);
    await t.engine.jobs.release(job.id, a, null);
    await until(() => pushes(job.id, b).length === 2);
    expect(pushes(job.id, a).map((p) => p.status)).toEqual([200]);
  });
});

describe('a job that is reserved', () => {
  it('is pushed to nobody else, and to the others when he declines', async () => {
    const [a, b] = [await driver(), await driver()];
    await t.queues.byLane.nearby.pause();
    const job = await t.post();
    await until(async () => (await t.queues.byLane.nearby.count()) > 0);
    await t.engine.jobs.assign(job.id, a, 'operator:o');
    await t.queues.byLane.nearby.resume();
    await until(() => pushes(job.id, a).length === 1);
    const other = await t.post();
    await until(() => pushes(other.id, b).length === 1);
    expect(pushes(job.id, b)).toHaveLength(0);
    await t.engine.jobs.decline(job.id, a, null);
    await until(() => pushes(job.id, b).length === 1);
    expect(pushes(job.id, a)).toHaveLength(1);
  });

  it('while its pushes go out is pushed to none of those who follow, but to its driver', async () => {
    // Nearest first, and a window holds 100: he comes in the second, and so do five others.
    await Promise.all(Array.from({ length: 100 }, () => driver(AWAY)));
    const late = await Promise.all(Array.from({ length: 6 }, () => driver(further(AWAY))));
    const [mine, ...others] = late as [string, ...string[]];
    t.simulator.faults.clear();
    t.simulator.faults.add({ kind: 'hold', count: 1 });
    const job = await t.post({ position: AWAY });
    await until(() => t.simulator.faults.met() > 0);
    await t.engine.jobs.assign(job.id, mine, 'operator:o');
    t.simulator.faults.release();
    await until(() => pushes(job.id, mine).length === 1);
    await until(async () => (await t.queues.byLane.nearby.getActiveCount()) === 0);
    for (const id of others) expect(pushes(job.id, id), id).toHaveLength(0);
    expect(pushes(job.id)).toHaveLength(101);
    t.simulator.faults.clear();
  });
});

describe('a phone that is gone', () => {
  it('is forgotten, unless it was registered again since', async () => {
    const [gone, back] = [await driver(), await driver()];
    const answer = { status: 410, reason: 'Unregistered' };
    t.simulator.faults.setAnswer(tokenOf(gone), { ...answer, timestamp: Date.now() + 60_000 });
    t.simulator.faults.setAnswer(tokenOf(back), { ...answer, timestamp: Date.now() - 60_000 });
    const job = await t.post();
    await until(async () => {
      const left = await deviceTokensOf(t.ctx.db, 'driver', [gone]);
      return left.length === 0 && pushes(job.id, back).length === 1;
    });
    expect(await deviceTokensOf(t.ctx.db, 'driver', [back])).toHaveLength(1);
    const next = await t.post();
    await until(() => pushes(next.id, back).length === 1);
    expect(pushes(next.id, gone)).toHaveLength(0);
    t.simulator.faults.clear();
  });
});

describe('the customer', () => {
  it('is pushed once when a driver accepts, and the notification is done', async () => {
    await register('alice', 'customer');
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
    await until(async () => (await undone()).length === 0);
    expect(pushes(job.id, 'alice')).toHaveLength(1);
  });

  it('without a phone is done at once', async () => {
    const id = await driver();
    const job = await t.post({ customerId: 'nophone' });
    await t.engine.jobs.claim(job.id, id);
    await until(async () => (await undone()).length === 0);
  });

  it('is told late rather than never when Apple is busy', async () => {
    await register('bob', 'customer');
    const id = await driver();
    t.simulator.faults.setAnswer(tokenOf('bob'), { status: 503, reason: 'ServiceUnavailable' });
    const job = await t.post({ customerId: 'bob' });
    await t.engine.jobs.claim(job.id, id);
    await until(() => pushes(job.id, 'bob').length >= 2);
    t.simulator.faults.setAnswer(tokenOf('bob'), null);
    await until(() => pushes(job.id, 'bob').some((p) => p.status === 200));
    await until(async () => (await undone()).length === 0);
    expect(pushes(job.id, 'bob').filter((p) => p.status === 200)).toHaveLength(1);
  });

  it('is told although the task was lost: the maintenance hands it over again', async () => {
    await register('carol', 'customer');
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
    await register('dave', 'customer');
    const id = await driver();
    const job = await t.post({ customerId: 'dave' });
    await until(async () => (await t.queues.byLane.nearby.getActiveCount()) === 0);
    await until(() => pushes(job.id, id).length === 1);
    t.simulator.faults.add({ kind: 'kill', count: 1 });
    await t.engine.jobs.claim(job.id, id);
    await until(() => pushes(job.id, 'dave').length === 1);
    await until(async () => (await undone()).length === 0);
    const attempts = (await listAttempts(t.ctx.db, { jobId: job.id })).filter(
      (a) => a.userId === 'dave',
    );
    expect(attempts.map((a) => a.outcome)).toEqual(['unknown', 'sent']);
    expect(t.simulator.phones.shown(tokenOf('dave'))).toHaveLength(1);
  });

  it('is pushed no more than twice when no answer ever comes', async () => {
    await register('erin', 'customer');
    const id = await driver();
    const job = await t.post({ customerId: 'erin' });
    await until(() => pushes(job.id, id).length === 1);
    t.simulator.faults.add({ kind: 'kill', count: 10 });
    await t.engine.jobs.claim(job.id, id);
    await until(async () => (await undone()).length === 0, { timeoutMs: 30_000 });
    t.simulator.faults.clear();
    const attempts = (await listAttempts(t.ctx.db, { jobId: job.id })).filter(
      (a) => a.userId === 'erin',
    );
    expect(attempts.map((a) => a.outcome)).toEqual(['unknown', 'unknown']);
  });
});

describe('a claim', () => {
  it('silences the rest of its wave', async () => {
    const quiet = await startTestPush();
    const ids = Array.from({ length: 120 }, (_, i) => `q${i}`);
    for (const id of ids) {
      await quiet.driver(id);
      const device = { token: tokenOf(id), userId: id, environment: 'sandbox' } as const;
      await saveDeviceToken(quiet.ctx.db, { ...device, app: 'driver' });
    }
    quiet.simulator.faults.add({ kind: 'delay', ms: 300 });
    const job = await quiet.post();
    await quiet.startWorker();
    await until(async () => (await listAttempts(quiet.ctx.db, { jobId: job.id })).length > 0);
    await quiet.engine.jobs.claim(job.id, 'q0');
    await until(async () => {
      const lane = quiet.queues.byLane.nearby;
      return (await lane.getActiveCount()) === 0 && (await lane.getWaitingCount()) === 0;
    });
    const pushed = quiet.simulator.phones.records(job.id).length;
    expect(pushed).toBeGreaterThan(0);
    expect(pushed).toBeLessThanOrEqual(100);
  });
});

describe('a claim while Apple is slow', () => {
  it('silences phones whose push waits for a stream', async () => {
    const slow = await startTestPush();
    const ids = Array.from({ length: 40 }, (_, i) => `s${i}`);
    for (const id of ids) {
      await slow.driver(id);
      const device = { token: tokenOf(id), userId: id, environment: 'sandbox' } as const;
      await saveDeviceToken(slow.ctx.db, { ...device, app: 'driver' });
    }
    // Until the first success a connection has one stream.
    slow.simulator.faults.add({ kind: 'delay', ms: 3000 });
    const job = await slow.post();
    await slow.startWorker();
    const attempts = () => listAttempts(slow.ctx.db, { jobId: job.id });
    await until(async () => (await attempts()).length === ids.length);
    await slow.engine.jobs.claim(job.id, 's0');
    await until(async () => (await attempts()).every(({ outcome }) => outcome !== 'unknown'));
    expect(slow.simulator.phones.records(job.id).length).toBeLessThanOrEqual(10);
    const silenced = (await attempts()).filter(({ reason }) => reason === 'withdrawn');
    expect(silenced.length).toBeGreaterThanOrEqual(30);
  });
});

describe('without credentials', () => {
  it('every push is on record as not sent', async () => {
    const bare = await startTestPush({ withKey: false });
    await bare.startWorker();
    await bare.driver('d');
    const device = { token: tokenOf('d'), userId: 'd', environment: 'sandbox' } as const;
    await saveDeviceToken(bare.ctx.db, { ...device, app: 'driver' });
    const job = await bare.post();
    const attempt = await until(async () => {
      const [first] = await listAttempts(bare.ctx.db, { jobId: job.id });
      return first?.outcome === 'not_sent' && first;
    });
    expect(attempt.reason).toBe('no_credentials');
    expect(bare.simulator.phones.records()).toEqual([]);
  });
});
