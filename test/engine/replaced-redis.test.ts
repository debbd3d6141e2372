/** A Redis that took the place of another: what it refuses may be of the past. */
import { beforeAll, expect, it } from 'vitest';
import { keys } from '../../engine/redis/keys.ts';
import { startTestEngine, type TestEngine } from '../support/engine.ts';
import { until } from '../support/until.ts';

let t: TestEngine;
beforeAll(async () => {
  t = await startTestEngine();
  await Promise.all(['ann', 'ben', 'cat'].map((id) => t.driver(id)));
});

it('refuses a tap only for what the row says as well', async () => {
  const [before, job] = [await t.post(), await t.post()];
  await t.redis.restart();
  await until(async () => (await t.engine.jobs.claim(before.id, 'ann')).ok);
  const { id, zone, version } = job;
  // As it was filled before a release that another process brought to the Redis before this one.
  const past = { state: 'closed', status: 'accepted', driver: 'ann', version: version - 1 };
  await until(() => t.ctx.redis.hget(keys.job(zone, id), 'state'));
  await t.ctx.redis.hset(keys.job(zone, id), past);
  expect(await t.engine.jobs.claim(id, 'ben')).toMatchObject({ ok: true });
  expect(await t.engine.jobs.claim(id, 'cat')).toEqual({ ok: false, code: 'already_accepted' });
});
