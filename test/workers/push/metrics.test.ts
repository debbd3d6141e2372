/** What operators see of a lane that does not get on. */
import { expect, it } from 'vitest';
import { createRegistry } from '../../../engine/process/metrics.ts';
import { createPushMetrics, measureTrouble } from '../../../workers/push/metrics.ts';
import { taskId } from '../../../workers/queues.ts';
import { startTestPush } from '../../support/push.ts';
import { startPushConsole } from '../../support/push-console.ts';

it('tasks that are tried again later, pauses and notifications not done are seen', async () => {
  const t = await startTestPush();
  const { critical } = t.queues.byLane;
  const registry = createRegistry();
  const later = Date.now() + 30_000;
  createPushMetrics(registry, t.queues.byLane, () => later);
  let paused = [{ scope: 'key', reason: 'InvalidProviderToken' }];
  measureTrouble(
    registry,
    t.queues.byLane,
    () => paused,
    async () => 3,
  );
  await critical.add('waits for its next try', {}, { delay: 60_000, jobId: taskId() });
  const text = await registry.metrics();
  const age = Number(/oldest_waiting_seconds\{lane="critical"\} (\S+)/.exec(text)?.[1]);
  expect(age).toBeGreaterThan(20);
  expect(text).toContain('muster_push_oldest_waiting_seconds{lane="nearby"} 0');
  expect(text).toContain('muster_push_tasks{lane="critical",state="delayed"} 1');
  expect(text).toContain('muster_push_tasks{lane="critical",state="failed"} 0');
  expect(text).toContain('muster_push_paused{scope="key",reason="InvalidProviderToken"} 1');
  expect(text).toContain('muster_push_undone_notifications 3');
  paused = [];
  expect(await registry.metrics()).not.toContain('muster_push_paused{');
});

it('a queue that an operator paused on the dashboard is seen until he resumes it', async () => {
  const t = await startTestPush();
  const ops = await startPushConsole(t);
  const registry = createRegistry();
  measureTrouble(
    registry,
    t.queues.byLane,
    () => [],
    async () => 0,
  );
  // The queues of tests begin paused.
  await t.queues.byLane.nearby.resume();
  await t.queues.byLane.critical.resume();
  expect(await registry.metrics()).not.toContain('muster_push_paused{');
  expect(await ops.board('PUT', `${ops.pathOf('nearby')}/pause`)).toMatchObject({ status: 200 });
  const text = await registry.metrics();
  expect(text).toContain('muster_push_paused{scope="push-nearby",reason="by hand"} 1');
  expect(text).not.toContain('scope="push-critical"');
  await ops.board('PUT', `${ops.pathOf('nearby')}/resume`);
  expect(await registry.metrics()).not.toContain('muster_push_paused{');
});

it('a thousand delayed tasks are not read to tell how old the oldest is', async () => {
  const t = await startTestPush();
  const { critical } = t.queues.byLane;
  const registry = createRegistry();
  createPushMetrics(registry, t.queues.byLane, () => Date.now() + 30_000);
  await critical.addBulk(
    Array.from({ length: 1000 }, () => ({
      name: 'waits',
      data: {},
      opts: { delay: 600_000, jobId: taskId() },
    })),
  );
  await t.ctx.redis.config('RESETSTAT');
  const text = await registry.metrics();
  expect(Number(/oldest_waiting_seconds\{lane="critical"\} (\S+)/.exec(text)?.[1])).toBeGreaterThan(
    20,
  );
  const calls = await t.ctx.redis.info('commandstats');
  expect(calls).not.toMatch(/cmdstat_hgetall|cmdstat_hmget/);
  const times: number[] = [];
  for (let i = 0; i < 20; i++) {
    const started = performance.now();
    await registry.metrics();
    times.push(performance.now() - started);
  }
  process.stdout.write(
    `a scrape beside 1 000 delayed tasks: ${Math.min(...times).toFixed(1)} ms\n`,
  );
});
