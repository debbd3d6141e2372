/** What operators see of a lane that does not get on. */
import { expect, it } from 'vitest';
import { createRegistry } from '../../../engine/process/metrics.ts';
import { createPushMetrics, measureTrouble } from '../../../workers/push/metrics.ts';
import { startTestPush } from '../../support/push.ts';

it('tasks that are tried again later, pauses and notifications not done are seen', async () => {
  const t = await startTestPush();
  const { critical } = t.queues.byLane;
  const registry = createRegistry();
  const later = Date.now() + 30_000;
  createPushMetrics(registry, t.queues.byLane, () => later);
  let paused = [{ scope: 'key', reason: 'InvalidProviderToken' }];
  measureTrouble(
    registry,
    () => paused,
    async () => 3,
  );
  await critical.add('waits for its next try', {}, { delay: 60_000 });
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
