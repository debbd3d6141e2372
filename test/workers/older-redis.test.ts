/**
 * A Redis that comes back as an older copy of itself, under pushes: it has forgotten a decline and a
 * claim, and has the task of a wave again that was pushed long ago.
 */
import { copyFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { saveDeviceToken } from '../../engine/pg/device-tokens.ts';
import { sql } from '../../engine/pg/drizzle.ts';
import { type RedisServer, startRedis } from '../../scripts/dev/redis.ts';
import { cleanups } from '../support/engine.ts';
import { startMaintenance } from '../support/maintenance.ts';
import { startTestPush, type TestPush } from '../support/push.ts';
import { tokenOf } from '../support/push-crowd.ts';
import { until } from '../support/until.ts';

const DRIVERS = ['d1', 'd2', 'd3'];
const PATIENCE_MS = 60_000;

let t: TestPush;
beforeAll(async () => {
  t = await startTestPush();
  for (const userId of DRIVERS) {
    await t.driver(userId);
    const token = tokenOf(userId);
    await saveDeviceToken(t.ctx.db, { token, userId, app: 'driver', environment: 'sandbox' });
  }
});

/** What Redis holds now; called later it comes back with that, in a new process on the same port. */
async function copyOfRedis(): Promise<() => Promise<RedisServer>> {
  const { redis } = t.ctx;
  const dir = ((await redis.config('GET', 'dir')) as string[])[1] as string;
  const dump = path.join(dir, 'dump.rdb');
  await redis.save();
  copyFileSync(dump, `${dump}.older`);
  return async () => {
    await t.redis.kill();
    copyFileSync(`${dump}.older`, dump);
    return startRedis({ dir, port: redis.options.port as number });
  };
}

const sees = async (id: string): Promise<string[]> => {
  const driver = await t.engine.drivers.know(id);
  return driver ? (await t.engine.jobs.available(driver)).map((job) => job.id) : [];
};
const pushes = (jobId: string) =>
  t.simulator.phones
    .records(jobId)
    .filter(({ topic }) => topic.endsWith('driver'))
    .map(({ token }) => token)
    .sort();
const idle = async () => {
  const counts = await t.queues.byLane.nearby.getJobCounts('waiting', 'active', 'delayed');
  return Object.values(counts).every((count) => count === 0);
};

describe('an older copy of Redis', () => {
  it('keeps declines in force, offers nothing that was taken, and pushes nobody twice', async () => {
    const declined = await t.post();
    const taken = await t.post();
    await until(async () => (await t.queues.byLane.nearby.getWaitingCount()) === 2);
    // It holds both jobs open, no decline, and the tasks of both waves.
    const restore = await copyOfRedis();

    await t.startWorker();
    const all = DRIVERS.map(tokenOf).sort();
    for (const { id } of [declined, taken]) {
      await until(() => pushes(id).length === all.length, { timeoutMs: PATIENCE_MS });
    }
    await until(idle, { timeoutMs: PATIENCE_MS });
    await t.engine.jobs.decline(declined.id, 'd2', null);
    expect(await t.engine.jobs.claim(taken.id, 'd1')).toMatchObject({ ok: true });
    await until(async () => (await sees('d3')).join() === declined.id);

    const redis = await restore();
    cleanups.push(() => redis.stop());
    await until(async () => (await sees('d3')).join() === declined.id, { timeoutMs: PATIENCE_MS });
    expect(await sees('d2')).toEqual([]);
    expect(await t.engine.jobs.claim(taken.id, 'd3')).toEqual({
      ok: false,
      code: 'already_accepted',
    });

    // The tasks that came back run again, and the maintenance hands over what it takes for undone.
    await t.ctx.db.execute(sql`
      update job_waves set dispatched_at = now() - interval '1 minute', pushed_at = null
      where job_id = ${declined.id}`);
    const maintenance = startMaintenance(t);
    cleanups.push(() => maintenance.close());
    await until(
      async () => {
        const [row] = await t.ctx.db.execute<{ undone: number }>(sql`
          select count(*)::int as undone from job_waves
          where job_id = ${declined.id} and pushed_at is null`);
        return row?.undone === 0 && idle();
      },
      { timeoutMs: PATIENCE_MS, what: 'the wave was gone through again' },
    );
    for (const { id } of [declined, taken]) expect(pushes(id)).toEqual(all);
  }, 240_000);
});
