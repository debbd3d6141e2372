/** A wave that is pushed twice, late, or against a row that has moved on: who is pushed, and when it is done. */

import postgres from 'postgres';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { deviceTokensOf, saveDeviceToken } from '../../../engine/pg/device-tokens.ts';
import { sql } from '../../../engine/pg/drizzle.ts';
import { listAttempts } from '../../../engine/pg/push-attempts.ts';
import { createNearbyLane, type NearbyLane } from '../../../workers/push/nearby.ts';
import type { PushAgain } from '../../../workers/push/push-again.ts';
import type { Push } from '../../../workers/push/sender.ts';
import { startTestPush, type TestPush } from '../../support/push.ts';
import { addPhones, postTo, tally, tokenOf } from '../../support/push-crowd.ts';
import { until } from '../../support/until.ts';

const BUSY = { status: 503, reason: 'ServiceUnavailable' };

let t: TestPush;
let lane: NearbyLane;
beforeAll(async () => {
  t = await startTestPush();
  lane = createNearbyLane(t.engine, t.sender);
  await addPhones(t, 'driver', ['ann', 'bob']);
});
beforeEach(() => t.simulator.faults.clear());

const running = () => new AbortController().signal;
const taskOf = (jobId: string) => ({ job_id: jobId, wave: 1 });
const run = (jobId: string) => lane.push(taskOf(jobId), running());
const failed = (work: Promise<string>) =>
  work.then(
    (text) => Promise.reject(new Error(text)),
    (error: PushAgain) => error,
  );
const taken = (jobId: string, user: string) =>
  t.simulator.phones
    .records(jobId)
    .filter(({ token, status }) => token === tokenOf(user) && status === 200);
async function isDone(jobId: string): Promise<boolean> {
  const [wave] = await t.ctx.db.execute<{ done: boolean }>(sql`
    select pushed_at is not null as done from job_waves where job_id = ${jobId}`);
  return wave?.done ?? false;
}

describe('a wave', () => {
  it('that runs while its pushes are in flight waits for what becomes of them', async () => {
    const jobId = await postTo(t, ['ann', 'bob']);
    t.simulator.faults.add({ kind: 'hold' });
    t.simulator.faults.setAnswer(tokenOf('bob'), BUSY);
    const first = failed(run(jobId));
    await until(async () => (await listAttempts(t.ctx.db, { jobId })).length === 2);
    const second = await failed(run(jobId));
    expect(second).toMatchObject({ message: 'job offer: unknown (2)', count: 2 });
    expect(await isDone(jobId)).toBe(false);
    // By then they went down with their worker.
    const later = createNearbyLane({ ...t.engine, now: () => Date.now() + 26_000 }, t.sender);
    expect(await later.push(taskOf(jobId), running())).toMatch(/: 0 sent$/);
    t.simulator.faults.clear();
    t.simulator.faults.setAnswer(tokenOf('bob'), BUSY);
    t.simulator.faults.release();
    expect(await first).toMatchObject({ message: 'job offer: ServiceUnavailable' });
    t.simulator.faults.clear();
    expect(await run(jobId)).toMatch(/wave 1, 2 drivers: 1 sent$/);
    expect([taken(jobId, 'ann').length, taken(jobId, 'bob').length]).toEqual([1, 1]);
    expect(await isDone(jobId)).toBe(true);
  });

  it('whose outcomes meet a lock has them on record, and sends again what was refused', async () => {
    const jobId = await postTo(t, ['ann', 'bob']);
    t.simulator.faults.add({ kind: 'hold', count: 1 });
    t.simulator.faults.setAnswer(tokenOf('bob'), BUSY);
    const met = t.simulator.faults.met();
    const first = failed(run(jobId));
    await until(() => t.simulator.faults.met() > met);
    const other = postgres(t.databaseUrl, { max: 1 });
    await other.begin(async (locking) => {
      // What making an index takes; until the first try to record them was refused.
      await locking`lock table push_windows in share mode`;
      t.simulator.faults.release();
      await until(async () => {
        const [waits] = await locking`select 1 from pg_locks where not granted limit 1`;
        return waits !== undefined;
      });
      await until(async () => {
        const [waits] = await locking`select 1 from pg_locks where not granted limit 1`;
        return waits === undefined;
      });
    });
    await other.end();
    expect(await first).toMatchObject({ count: 1 });
    t.simulator.faults.clear();
    expect(await run(jobId)).toMatch(/wave 1, 2 drivers: 1 sent$/);
    expect([taken(jobId, 'ann').length, taken(jobId, 'bob').length]).toEqual([1, 1]);
  });

  it('of a job that is closed by its row pushes nobody, though Redis is behind', async () => {
    const jobId = await postTo(t, ['ann', 'bob']);
    await t.ctx.db.execute(sql`
      update jobs set status = 'cancelled', version = version + 1 where id = ${jobId}`);
    expect(await run(jobId)).toMatch(/taken or closed/);
    expect(t.simulator.phones.records(jobId)).toEqual([]);
  });

  it('that opened more than ten minutes ago is old news', async () => {
    const jobId = await postTo(t, ['ann', 'bob']);
    await t.ctx.db.execute(sql`
      update job_waves set opened_at = now() - interval '11 minutes' where job_id = ${jobId}`);
    expect(await run(jobId)).toMatch(/wave 1, 2 drivers: 0 sent$/);
    expect(t.simulator.phones.records(jobId)).toEqual([]);
    expect(await isDone(jobId)).toBe(true);
  });
});

describe('two runs at once', () => {
  it('push everybody once', async () => {
    const crowd = Array.from({ length: 250 }, (_, i) => `twin${i}`);
    await addPhones(t, 'driver', crowd);
    const jobId = await postTo(t, crowd);
    await Promise.allSettled([run(jobId), run(jobId), run(jobId)]);
    await run(jobId);
    expect(tally(t.simulator.phones.records(jobId), crowd)).toEqual({ twice: [], never: [] });
    expect(await isDone(jobId)).toBe(true);
  });
});

describe('a wave of several windows', () => {
  const crowd = Array.from({ length: 250 }, (_, i) => `nobody${i}`);

  it('is done when each of its windows is, and not before', async () => {
    const jobId = await postTo(t, [...crowd, 'ann']);
    t.simulator.faults.setAnswer(tokenOf('ann'), BUSY);
    await failed(run(jobId));
    expect(await isDone(jobId)).toBe(false);
    t.simulator.faults.clear();
    expect(await run(jobId)).toMatch(/wave 1, 251 drivers: 1 sent$/);
    expect(await isDone(jobId)).toBe(true);
  });

  it('without a phone among them is done, and leaves no row', async () => {
    const jobId = await postTo(t, crowd);
    expect(await run(jobId)).toMatch(/: 0 sent$/);
    expect(await isDone(jobId)).toBe(true);
    expect(await t.ctx.db.execute(sql`select 1 from push_windows where job_id = ${jobId}`)).toEqual(
      [],
    );
  });
});

describe('a phone', () => {
  it('that was registered for the other environment meanwhile is kept', async () => {
    const jobId = await postTo(t, ['ann']);
    const [asRead] = await deviceTokensOf(t.ctx.db, 'driver', ['ann']);
    if (!asRead) throw new Error('no phone');
    await saveDeviceToken(t.ctx.db, { ...asRead, app: 'driver', environment: 'production' });
    t.simulator.faults.setAnswer(asRead.token, { status: 400, reason: 'BadDeviceToken' });
    const push: Push = {
      ...{ lane: 'nearby', app: 'driver', jobId, kind: 'new_job' },
      ...{ payload: '{}', expiresAt: Date.now() + 60_000 },
    };
    const { record } = await t.engine.pushes.window(jobId, 1, 0);
    const [sent] = (await t.sender.send(push, record, [{ device: asRead, place: 0 }])) ?? [];
    expect(sent).toMatchObject({ status: 400, reason: 'BadDeviceToken' });
    expect(await deviceTokensOf(t.ctx.db, 'driver', ['ann'])).toHaveLength(1);
  });
});
