/** How much is under way at once: many small jobs, but never more than 200 pushes of a worker. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createInFlight } from '../../../workers/push/in-flight.ts';
import { startTestPush, type TestPush } from '../../support/push.ts';
import { addPhones, postTo } from '../../support/push-crowd.ts';
import { until } from '../../support/until.ts';

describe('the limit', () => {
  it('lets in whom it has room for, in the order in which they came', async () => {
    const inFlight = createInFlight(10);
    const begun: string[] = [];
    const ends = new Map<string, () => void>();
    const start = (name: string, count: number) =>
      inFlight.within(count, () => {
        begun.push(name);
        return new Promise<void>((resolve) => ends.set(name, resolve));
      });
    const all = [start('a', 6), start('b', 5), start('c', 1)];
    await until(() => begun.length > 0);
    expect(begun).toEqual(['a']);
    ends.get('a')?.();
    await until(() => begun.length === 3);
    expect(begun).toEqual(['a', 'b', 'c']);
    for (const end of ends.values()) end();
    await Promise.all(all);
  });

  it('has room again after work that failed', async () => {
    const inFlight = createInFlight(1);
    const failed = inFlight.within(1, () => Promise.reject(new Error('no')));
    await expect(failed).rejects.toThrow('no');
    expect(await inFlight.within(1, async () => 'done')).toBe('done');
  });
});

describe('a worker', () => {
  const CROWD = Array.from({ length: 1000 }, (_, i) => `d${i}`);
  let t: TestPush;
  /** How many pushes came before those that are held. */
  let before: number;
  beforeAll(async () => {
    t = await startTestPush();
    await addPhones(t, 'driver', CROWD);
    await t.startWorker();
  });
  beforeEach(async () => {
    // A connection takes one push at a time until the first was accepted.
    t.simulator.faults.clear();
    const first = await postTo(t, ['d0']);
    await push([first]);
    await until(() => pushes(first).length > 0);
    before = t.simulator.faults.met();
    t.simulator.faults.add({ kind: 'hold' });
  });

  const pushes = (jobId: string) => t.simulator.phones.records(jobId);
  const held = () => t.simulator.faults.met() - before;
  async function push(jobs: readonly string[]) {
    for (const id of jobs) await t.queues.tasks.enqueueWave(id, 1);
    await t.queues.byLane.nearby.resume();
  }

  it('pushes several jobs with a few drivers each at once', async () => {
    const jobs: string[] = [];
    for (let i = 0; i < 4; i++) jobs.push(await postTo(t, CROWD.slice(i * 10, i * 10 + 10)));
    await push(jobs);
    await until(() => held() === 40);
    t.simulator.faults.release();
    await until(() => jobs.every((id) => pushes(id).length === 10));
  });

  it('has 200 pushes on their way when a job with many drivers is taken, and sends no other', async () => {
    const id = await postTo(t, CROWD);
    await push([id]);
    await until(() => held() === 200);
    await t.driver('dan');
    expect(await t.engine.jobs.claim(id, 'dan')).toMatchObject({ ok: true });
    t.simulator.faults.release();
    const { nearby } = t.queues.byLane;
    await until(async () => (await nearby.getActiveCount()) + (await nearby.count()) === 0);
    expect(pushes(id)).toHaveLength(200);
  });
});
