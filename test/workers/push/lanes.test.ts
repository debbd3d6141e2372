/**
 * A city's worth of nearby pushes does not delay the one to the customer, as it would if both went
 * through one queue: that is measured too.
 */
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { createCriticalLane } from '../../../workers/push/critical.ts';
import { createNearbyLane } from '../../../workers/push/nearby.ts';
import { NEARBY_CONCURRENCY } from '../../../workers/push/start.ts';
import {
  type NotificationTask,
  queueName,
  queuePrefix,
  type WaveTask,
} from '../../../workers/queues.ts';
import { cleanups } from '../../support/engine.ts';
import { startTestPush, type TestPush } from '../../support/push.ts';
import { addNotifications, addPhones, postTo, tokenOf } from '../../support/push-crowd.ts';
import { until } from '../../support/until.ts';
import { forkWorker } from '../../support/worker-process.ts';

const DRIVERS = 5000;
/** Notifications in each of the three measurements, one after the other. */
const NOTIFICATIONS = 40;
/** How long APNs takes for each push. */
const APNS_MS = 40;

describe('the critical lane', () => {
  it('does not queue behind 5 000 drivers', async () => {
    const t = await startTestPush();
    const drivers = Array.from({ length: DRIVERS }, (_, i) => `d${i}`);
    const customers = Array.from({ length: 3 * NOTIFICATIONS }, (_, i) => `c${i}`);
    await addPhones(t, 'driver', drivers);
    await addPhones(t, 'customer', customers);
    t.simulator.faults.add({ kind: 'delay', ms: APNS_MS });
    const worker = await forkWorker(t);

    const { tasks } = t.queues;
    const tell = async (customer: string, enqueue = tasks.enqueueNotifications) => {
      const [notification = ''] = await addNotifications(t, [customer]);
      const started = performance.now();
      await enqueue([{ id: notification }]);
      const shown = () => t.simulator.phones.shown(tokenOf(customer)).length > 0;
      await until(shown, { pollMs: 2, timeoutMs: 60_000 });
      return performance.now() - started;
    };
    // Connections are opened, statements prepared.
    await tell('c0');
    const idle: number[] = [];
    for (const customer of customers.slice(1, NOTIFICATIONS)) idle.push(await tell(customer));

    const besideJob = await postTo(t, drivers);
    const pushed = (jobId: string) => t.simulator.phones.records(jobId).length;
    await t.queues.byLane.nearby.resume();
    await tasks.enqueueWave(besideJob, 1);
    await until(() => pushed(besideJob) > 0);
    const beside: number[] = [];
    for (const customer of customers.slice(NOTIFICATIONS, 2 * NOTIFICATIONS)) {
      if (pushed(besideJob) === DRIVERS) break;
      beside.push(await tell(customer));
    }
    await until(() => pushed(besideJob) === DRIVERS, { timeoutMs: 60_000 });
    worker.kill();

    const sharedJob = await postTo(t, drivers);
    await t.queues.byLane.nearby.resume();
    startOneLane(t);
    await tasks.enqueueWave(sharedJob, 1);
    await until(() => pushed(sharedJob) > 0);
    const shared = await Promise.all(
      customers.slice(2 * NOTIFICATIONS).map((customer) =>
        tell(customer, async ([notification]) => {
          const data: NotificationTask = { notification_id: notification?.id ?? '' };
          await t.queues.byLane.nearby.add('notification', data);
          return 1;
        }),
      ),
    );

    process.stdout.write(
      `critical lane p99: idle ${p99(idle)} ms, beside the burst ${p99(beside)} ms ` +
        `(${beside.length} notifications); in one lane with it ${p99(shared)} ms\n`,
    );
    // The figures above are for a quiet machine; what holds on any is that nobody queues behind.
    expect(beside.length).toBeGreaterThan(5);
    expect(median(beside)).toBeLessThanOrEqual(p99(shared) / 10);
  }, 180_000);
});

/** What Muster is not: one queue for all pushes. */
function startOneLane(t: TestPush): void {
  const critical = createCriticalLane(t.engine, t.sender);
  const nearby = createNearbyLane(t.engine, t.sender);
  const { signal } = new AbortController();
  const connection = new Redis(t.redisUrl, { maxRetriesPerRequest: null });
  const worker = new Worker<NotificationTask | WaveTask>(
    queueName('nearby'),
    async ({ data }) => {
      if ('notification_id' in data) return critical.notify(data);
      return nearby.push(data, signal);
    },
    { connection, prefix: queuePrefix('nearby'), concurrency: NEARBY_CONCURRENCY },
  );
  cleanups.push(async () => {
    await worker.close();
    connection.disconnect();
  });
}

const p99 = (values: readonly number[]) => quantile(values, 0.99);
const median = (values: readonly number[]) => quantile(values, 0.5);
function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.round(sorted[Math.ceil(sorted.length * q) - 1] ?? Number.NaN);
}
