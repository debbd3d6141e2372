/**
 * Where Redis names a user: an id that is also a number, a state or a type of truck harms nobody else, and
 * is found wherever it stands for him.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { JobRow } from '../../../engine/domain/job.ts';
import { createMatcher } from '../../../engine/redis/mentions.ts';
import { eraseFromKeys } from '../../../engine/redis/personal-data.ts';
import { createPushQueues, type PushQueues } from '../../../workers/queues.ts';
import { candidatesOf } from '../../support/candidates.ts';
import { HERE, silentLog, startTestEngine, type TestEngine } from '../../support/engine.ts';
import { dumpRedis } from '../../support/redis-keys.ts';
import { until } from '../../support/until.ts';

/** Numbers and words that stand in keys, fields, members and texts of others. */
const NAMES = [
  ...['0', '1', '2', '37', '77', '122', `${HERE.lat}`.replace('.', '')],
  ...['open', 'closed', 'pending', 'accepted', 'declined', 'refused', 'job', 'jobs', 'driver'],
  ...['customer', 'van', 'world', 'drivers', 'users', 'version', 'state', 'last', 'ready', 'log'],
  ...['muster', 'muster-push-nearby', 'push-critical', 'meta', 'wave', 'name', 'critical', 'Main'],
  ...[
    'delayed',
    'failed',
    'completed',
    'added',
    'waiting',
    'id',
    'notification',
    'sandbox',
    'true',
  ],
];

let t: TestEngine;
let queues: PushQueues;
let open: JobRow;
beforeAll(async () => {
  t = await startTestEngine({}, undefined, undefined, (redisUrl) => {
    queues = createPushQueues(redisUrl, silentLog);
    return queues.tasks;
  });
  await t.driver('ann', HERE, 'van');
  await t.driver('bob', HERE, 'van');
  const posted = { customerId: 'cleo', notes: 'open', truckType: 'van', address: '37' };
  open = await t.post(posted);
  const [taken, refused] = [await t.post(posted), await t.post(posted)];
  for (const { id } of [open, taken, refused]) {
    await until(async () => (await candidatesOf(t.ctx.db, id)).length === 2);
  }
  expect(await t.engine.jobs.claim(taken.id, 'ann')).toMatchObject({ ok: true });
  await t.engine.jobs.decline(refused.id, 'ann', null);
  await until(async () => (await dumpRedis(t.ctx.redis)).includes(' → customer cleo'));
});
afterAll(() => queues.close());

const eraseFor = (userId: string, jobIds: string[] = []) =>
  eraseFromKeys(t.ctx.redis, { userId, jobIds: new Set(jobIds) });

it.each(NAMES)('takes nothing of others for a user called %s', async (name) => {
  expect(await eraseFor(name)).toBe(0);
});

it('finds a driver whose id is a word', async () => {
  await t.driver('open', HERE, 'van');
  await t.engine.jobs.decline(open.id, 'open', null);
  const held = await t.post({ customerId: 'cleo' });
  await until(async () => (await candidatesOf(t.ctx.db, held.id)).includes('open'));
  expect(await t.engine.jobs.claim(held.id, 'open')).toMatchObject({ ok: true });
  await until(async () => (await dumpRedis(t.ctx.redis)).includes('"driver_id\\":\\"open'));
  const fixes = async () => (await dumpRedis(t.ctx.redis)).match(/:fixes \{"ann"/g)?.length;
  const before = await fixes();
  expect(await eraseFor('open')).toBeGreaterThan(8);
  expect(await eraseFor('open')).toBe(0);
  const redis = await dumpRedis(t.ctx.redis);
  expect(redis).not.toContain('muster:driver:{open}');
  // Neither a driver by this name, nor a field or member of his; a job's state and notes stay.
  expect(redis).not.toMatch(/driver\\?":\\?"open|user\\?":\\?"open|"open":"(?:\d|declined)/);
  expect(redis).not.toMatch(/^muster:\{\w+\}:(?:seen|drivers:\S+) .*"open"/m);
  expect(await fixes()).toBe(before);
  expect(redis).toContain(`:job:${open.id} `);
});

it('knows a user where tasks name him', () => {
  const isAbout = createMatcher({ userId: '37', jobIds: new Set([open.id]) });
  const task = '{muster-push-critical}:push-critical:1700000000000-a1b2';
  for (const [field, text] of [
    ['name', 'Job Cancelled → customer 37'],
    ['returnvalue', '"job_cancelled to customer 37: 2 phones"'],
    ['failedReason', 'driver_assigned to driver 37: no_answer (2)'],
    ['stacktrace', '["PushAgain: driver_assigned to driver 37: no_answer\\n    at x"]'],
    ['data', '{"user_id":"37"}'],
    ['data', JSON.stringify({ job_id: open.id, wave: 1 })],
  ] as const) {
    expect(isAbout(task, text, field), text).toBe(true);
  }
  for (const text of ['Job Cancelled → customer 370', 'to driver 37-a: x', 'wave 37', '37']) {
    expect(isAbout(task, text, 'name'), text).toBe(false);
  }
});
