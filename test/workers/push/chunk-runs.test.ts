/** A chunk that runs twice, late, or against a row that has moved on: who is pushed, and when it is done. */
import { sql } from 'drizzle-orm';
import postgres from 'postgres';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { deviceTokensOf, saveDeviceToken } from '../../../engine/pg/device-tokens.ts';
import { listAttempts } from '../../../engine/pg/push-attempts.ts';
import { createNearbyLane, type NearbyLane } from '../../../workers/push/nearby.ts';
import type { PushAgain } from '../../../workers/push/push-again.ts';
import type { Push } from '../../../workers/push/sender.ts';
import { startTestPush, type TestPush } from '../../support/push.ts';
import { addPhones, postTo, tokenOf } from '../../support/push-crowd.ts';
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
const chunkOf = (jobId: string, from = 0, count = 2) => ({ job_id: jobId, wave: 1, from, count });
const run = (jobId: string) => lane.chunk(chunkOf(jobId), running());
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

describe('a chunk', () => {
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
    expect(await later.chunk(chunkOf(jobId, 1), running())).toMatch(/^0 phones/);
    t.simulator.faults.clear();
    t.simulator.faults.setAnswer(tokenOf('bob'), BUSY);
    t.simulator.faults.release();
    expect(await first).toMatchObject({ message: 'job offer: ServiceUnavailable' });
    t.simulator.faults.clear();
    expect(await run(jobId)).toBe('1 phones of 2 drivers');
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
      await locking`lock table push_attempts in share mode`;
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
    expect(await run(jobId)).toBe('1 phones of 2 drivers');
    expect([taken(jobId, 'ann').length, taken(jobId, 'bob').length]).toEqual([1, 1]);
  });

  it('of a job that is closed by its row pushes nobody, though Redis is behind', async () => {
    const jobId = await postTo(t, ['ann', 'bob']);
    await t.ctx.db.execute(sql`
      update jobs set status = 'cancelled', version = version + 1 where id = ${jobId}`);
    expect(await run(jobId)).toMatch(/taken or closed/);
    expect(t.simulator.phones.records(jobId)).toEqual([]);
  });

  it('of a wave that opened more than ten minutes ago is old news', async () => {
    const jobId = await postTo(t, ['ann', 'bob']);
    await t.ctx.db.execute(sql`
      update job_waves set opened_at = now() - interval '11 minutes' where job_id = ${jobId}`);
    expect(await run(jobId)).toBe('0 phones of 2 drivers');
    expect(t.simulator.phones.records(jobId)).toEqual([]);
    expect(await isDone(jobId)).toBe(true);
  });
});

describe('a wave', () => {
  const crowd = Array.from({ length: 300 }, (_, i) => `nobody${i}`);

  it('is done when each of its chunks is, and not by one that was cut otherwise', async () => {
    const jobId = await postTo(t, crowd);
    for (const from of [0, 200]) await lane.chunk(chunkOf(jobId, from, 100), running());
    expect(await isDone(jobId)).toBe(false);
    const [rest, ...others] = await lane.wave({ job_id: jobId, wave: 1 });
    expect(others).toEqual([]);
    expect(rest).toEqual(chunkOf(jobId, 250, 50));
    await lane.chunk(chunkOf(jobId, 250, 50), running());
    expect(await isDone(jobId)).toBe(true);
  });

  it('that has no chunk left is done', async () => {
    const jobId = await postTo(t, crowd);
    await t.ctx.db.execute(sql`
      update job_waves set chunks_done = '{0,250}' where job_id = ${jobId}`);
    expect(await lane.wave({ job_id: jobId, wave: 1 })).toEqual([]);
    expect(await isDone(jobId)).toBe(true);
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
      ...{ lane: 'nearby', app: 'driver', jobId, wave: 1, kind: 'new_job' },
      ...{ notificationId: null, payload: '{}', expiresAt: Date.now() + 60_000 },
    };
    const [sent] = await t.sender.send(push, [{ device: asRead }]);
    expect(sent).toMatchObject({ status: 400, reason: 'BadDeviceToken' });
    expect(await deviceTokensOf(t.ctx.db, 'driver', ['ann'])).toHaveLength(1);
  });
});
