/**
 * An operator who retries tasks on the dashboard pushes nobody twice: through its own HTTP API, with
 * real queues, a real worker and the simulator.
 */
import type { Job } from 'bullmq';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { saveDeviceToken } from '../../../engine/pg/device-tokens.ts';
import { findNotification } from '../../../engine/pg/notifications.ts';
import { listAttempts } from '../../../engine/pg/push-attempts.ts';
import { startTestPush, type TestPush } from '../../support/push.ts';
import { type PushConsole, startPushConsole } from '../../support/push-console.ts';
import { addNotifications, addPhones, postTo, tally, tokenOf } from '../../support/push-crowd.ts';
import { until } from '../../support/until.ts';

/** More than two windows hold. */
const DRIVERS = 230;

let t: TestPush;
let ops: PushConsole;
const drivers = Array.from({ length: DRIVERS }, (_, i) => `d${i}`);

beforeAll(async () => {
  t = await startTestPush();
  ops = await startPushConsole(t);
  await addPhones(t, 'driver', drivers);
  await t.startWorker();
});
beforeEach(() => t.simulator.faults.clear());

const press = (task: Job, button: 'retry' | 'promote') =>
  ops.board(
    'PUT',
    `${ops.pathOf(task.queueName.endsWith('nearby') ? 'nearby' : 'critical')}/${task.id}/${button}`,
  );
const accepted = (jobId: string) =>
  t.simulator.phones.records(jobId).filter((record) => record.status === 200);

/** A wave to all of them is handed over; one phone is throttled, so its task fails for good. */
async function waveThatFails(throttled: string) {
  const { nearby } = t.queues.byLane;
  t.simulator.faults.setAnswer(tokenOf(throttled), { status: 429, reason: 'TooManyRequests' });
  const jobId = await postTo(t, drivers);
  await nearby.resume();
  await t.queues.tasks.enqueueWave(jobId, 1);
  await until(() => accepted(jobId).length === DRIVERS - 1);
  // An operator has no patience either: what waits for its next try is promoted until it gives up.
  const failed = await until(
    async () => {
      for (const delayed of await nearby.getDelayed()) await press(delayed, 'promote');
      return (await nearby.getFailed())[0];
    },
    { timeoutMs: 60_000 },
  );
  return { jobId, failed, nearby };
}

describe('retrying on the dashboard', () => {
  it('a failed wave reaches the phone that was missing, and nobody a second time', async () => {
    const [throttled = ''] = drivers.slice(-1);
    const { jobId, failed, nearby } = await waveThatFails(throttled);
    expect(failed.failedReason).toBe('job offer: TooManyRequests');
    const [shown] = (
      await ops.board<{ queues: { jobs: object[] }[] }>(
        'GET',
        '/api/queues?activeQueue=push-nearby&status=failed',
      )
    ).body.queues.flatMap((queue) => queue.jobs);
    expect(shown).toMatchObject({ id: failed.id, failedReason: failed.failedReason });

    t.simulator.faults.setAnswer(tokenOf(throttled), null);
    // A phone that Apple throttled a moment ago is left alone, whoever clicks.
    await until(async () => {
      const state = await failed.getState();
      if (state === 'failed') {
        expect(await press(failed, 'retry')).toMatchObject({ status: 204 });
      }
      return state === 'completed';
    });
    expect(await press(failed, 'retry')).toMatchObject({ status: 204 });
    await until(async () => (await failed.getState()) === 'completed' && (await idle(nearby)));
    expect(tally(t.simulator.phones.records(jobId), drivers)).toEqual({ twice: [], never: [] });
    // Whoever was reached before was not even tried again.
    for (const id of drivers.filter((one) => one !== throttled)) {
      expect(arrivals(jobId, id), id).toBe(1);
    }
  });

  it('every completed wave pushes nobody', async () => {
    const { nearby } = t.queues.byLane;
    const jobId = await postTo(t, drivers);
    await nearby.resume();
    await t.queues.tasks.enqueueWave(jobId, 1);
    await until(async () => accepted(jobId).length === DRIVERS && (await idle(nearby)));
    const before = (await listAttempts(t.ctx.db, { jobId })).length;
    for (let click = 0; click < 3; click++) {
      const { status, body } = await ops.board<{ retried: number }>(
        'PUT',
        `${ops.pathOf('nearby')}/retry/completed`,
      );
      expect(status).toBe(200);
      expect(body.retried).toBeGreaterThan(0);
      await until(() => idle(nearby));
    }
    expect(await nearby.getFailedCount()).toBe(0);
    expect(accepted(jobId)).toHaveLength(DRIVERS);
    expect(await listAttempts(t.ctx.db, { jobId })).toHaveLength(before);
  });

  it('a failed notification does not tell the customer again', async () => {
    const { critical } = t.queues.byLane;
    const phones = [tokenOf('carl'), tokenOf('carls old phone')];
    for (const token of phones) {
      const device = { token, userId: 'carl', app: 'customer', environment: 'sandbox' } as const;
      await saveDeviceToken(t.ctx.db, device);
    }
    // One phone is told; what Apple says of the other fails the task for good.
    t.simulator.faults.setAnswer(phones[1] ?? '', { status: 400, reason: 'BadMessageId' });
    const [notification = ''] = await addNotifications(t, ['carl']);
    await t.queues.tasks.enqueueNotifications([{ id: notification }]);
    const failed = await until(async () => (await critical.getFailed())[0]);
    expect(failed.failedReason).toBe('driver_assigned to customer carl: 400 BadMessageId');
    t.simulator.faults.clear();
    for (let click = 0; click < 2; click++) {
      expect(await press(failed, 'retry')).toMatchObject({ status: 204 });
      await until(async () => (await failed.getState()) === 'completed' && (await idle(critical)));
    }
    expect((await findNotification(t.ctx.db, notification))?.doneAt).not.toBeNull();
    const told = t.simulator.phones.records().filter(({ token }) => phones.includes(token));
    expect(told.map(({ status }) => status).sort()).toEqual([200, 400]);
  });
});

const arrivals = (jobId: string, driver: string) =>
  t.simulator.phones.records(jobId).filter(({ token }) => token === tokenOf(driver)).length;

async function idle(queue: TestPush['queues']['byLane']['nearby']): Promise<boolean> {
  const counts = await queue.getJobCounts('wait', 'active', 'delayed');
  return Object.values(counts).every((count) => count === 0);
}
