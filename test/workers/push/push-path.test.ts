/** From the row to the phone: who is pushed what, how often, and what is on record. */
import { beforeAll, describe, expect, it } from 'vitest';
import { deviceTokensOf, saveDeviceToken } from '../../../engine/pg/device-tokens.ts';
import { listAttempts } from '../../../engine/pg/push-attempts.ts';
import { HERE, northOf } from '../../support/engine.ts';
import { startTestPush, type TestPush } from '../../support/push.ts';
import { addPhones, postTo } from '../../support/push-crowd.ts';
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
const pushes = (jobId: string, user?: string) =>
  t.simulator.phones
    .records(jobId)
    .filter(({ token }) => user === undefined || token === tokenOf(user));

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
    // Nearest first, and 200 are on their way at once: he comes after them, and so do five others.
    const crowd = Array.from({ length: 200 }, (_, i) => `early${i}`);
    const others = Array.from({ length: 5 }, (_, i) => `late${i}`);
    await addPhones(t, 'driver', [...crowd, ...others]);
    const mine = await driver();
    const jobId = await postTo(t, [...crowd, mine, ...others]);
    const before = t.simulator.faults.met();
    t.simulator.faults.add({ kind: 'hold', count: 200 });
    await t.queues.byLane.nearby.resume();
    await t.queues.tasks.enqueueWave(jobId, 1);
    await until(() => t.simulator.faults.met() - before === 200);
    await t.engine.jobs.assign(jobId, mine, 'operator:o');
    t.simulator.faults.release();
    await until(() => pushes(jobId, mine).length === 1);
    await until(async () => (await t.queues.byLane.nearby.getActiveCount()) === 0);
    for (const id of others) expect(pushes(jobId, id), id).toHaveLength(0);
    expect(pushes(jobId)).toHaveLength(201);
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

describe('a claim', () => {
  it('silences the rest of its wave', async () => {
    const quiet = await startTestPush();
    const ids = Array.from({ length: 400 }, (_, i) => `q${i}`);
    await addPhones(quiet, 'driver', ids);
    await quiet.driver('q0');
    quiet.simulator.faults.add({ kind: 'delay', ms: 300 });
    const jobId = await postTo(quiet, ids);
    await quiet.queues.byLane.nearby.resume();
    await quiet.queues.tasks.enqueueWave(jobId, 1);
    await quiet.startWorker();
    await until(async () => (await listAttempts(quiet.ctx.db, { jobId })).length > 0);
    await quiet.engine.jobs.claim(jobId, 'q0');
    await until(async () => {
      const lane = quiet.queues.byLane.nearby;
      return (await lane.getActiveCount()) === 0 && (await lane.getWaitingCount()) === 0;
    });
    const pushed = quiet.simulator.phones.records(jobId).length;
    expect(pushed).toBeGreaterThan(0);
    expect(pushed).toBeLessThanOrEqual(200);
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
