/** The list of zones that the sweep goes by, what a zone lost of its jobs, and the logs that end with no zone. */
import { randomUUID } from 'node:crypto';
import { beforeAll, expect, it } from 'vitest';
import { sweepDuty } from '../../../engine/maintenance/sweep.ts';
import { claimJob, listEndedLeases } from '../../../engine/redis/job-scripts.ts';
import { driversLog, keys, usersLog, zoneLog } from '../../../engine/redis/keys.ts';
import { appendLog } from '../../../engine/redis/log-scripts.ts';
import { startTestEngine, type TestEngine } from '../../support/engine.ts';
import { until } from '../../support/until.ts';

const { signal } = new AbortController();
let t: TestEngine;
beforeAll(async () => {
  t = await startTestEngine();
});

const listed = async (zone: string) => (await t.ctx.redis.smembers(keys.zones)).includes(zone);

it('takes a zone off that holds nothing, but not one that is filled meanwhile', async () => {
  const job = await t.post();
  const { zone } = job;
  await sweepDuty(t.ctx).run(signal);
  expect(await listed(zone)).toBe(true);
  await t.engine.jobs.cancel(job.id, 'customer:c1', null);
  const redis = Object.assign(Object.create(t.ctx.redis), {
    async srem(key: string, member: string) {
      // After the look, and before the removal.
      await t.post();
      return t.ctx.redis.srem(key, member);
    },
  });
  await sweepDuty({ ...t.ctx, redis }).run(signal);
  expect(await listed(zone)).toBe(true);
});

it('and takes it off when it is empty for good', async () => {
  const open = (await t.ctx.redis.smembers(keys.zones)).at(0) ?? '';
  for (const id of await t.ctx.redis.zrange(keys.openJobs(open), '0', '-1')) {
    await t.engine.jobs.cancel(id, 'customer:c1', null);
  }
  await sweepDuty(t.ctx).run(signal);
  expect(await listed(open)).toBe(false);
});

it.each([
  ['users', usersLog],
  ['drivers', driversLog],
])('drops what the log of %s has had for more than an hour', async (_whose, log) => {
  const { redis } = t.ctx;
  const old = Date.now() - 3_700_000;
  await redis.del(log.log);
  await redis.xadd(log.log, `${old}-0`, 'prev', '0-0', 'body', '{}');
  const last = await appendLog(redis, log, ['{"anew":true}']);
  await sweepDuty(t.ctx).run(signal);
  const ids = (await redis.xrange(log.log, '-', '+')).map(([id]) => id);
  // What else was told meanwhile may stand beside it.
  expect(ids).toContain(last);
  expect(ids).not.toContain(`${old}-0`);
});

it.each([
  ['the index of open jobs', (zone: string) => t.ctx.redis.del(keys.openJobs(zone))],
  ['one job of the index', (zone: string, id: string) => t.ctx.redis.zrem(keys.openJobs(zone), id)],
])('puts back %s, for the list and for every feed', async (_what, lose) => {
  await t.driver('d1');
  const { zone, id } = await t.post();
  const seen = async () => {
    const driver = await t.engine.drivers.know('d1');
    const jobs = driver ? await t.engine.jobs.available(driver) : [];
    return jobs.some((job) => job.id === id);
  };
  expect(await seen()).toBe(true);
  await lose(zone, id);
  expect(await seen()).toBe(false);
  await sweepDuty(t.ctx).run(signal);
  expect(await seen()).toBe(true);
  const [last] = await t.ctx.redis.xrevrange(zoneLog(zone).log, '+', '-', 'COUNT', 1);
  expect(last?.[1][3]).toContain(id);
  const before = await t.ctx.redis.hget(zoneLog(zone).meta, 'last');
  await sweepDuty(t.ctx).run(signal);
  expect(await t.ctx.redis.hget(zoneLog(zone).meta, 'last')).toBe(before);
});

it('puts back the leases of a zone, so that one that has ended is found', async () => {
  const { zone, id } = await t.post();
  const claim = { zone, id, driverId: 'd1', token: randomUUID(), leaseMs: 1 };
  expect(await claimJob(t.ctx.redis, claim)).toMatchObject({ kind: 'granted' });
  await t.ctx.redis.del(keys.claims(zone));
  await sweepDuty(t.ctx).run(signal);
  const inASecond = async () => (await listEndedLeases(t.ctx.redis, [zone], 100)).includes(id);
  expect(await until(inASecond)).toBe(true);
});
