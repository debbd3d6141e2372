/**
 * An erase that is cut off, as a store fails or a lock is held: the user is let in again, and a further
 * erase does the rest.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import postgres from 'postgres';
import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest';
import { UnfinishedError } from '../../engine/engine.ts';
import { sql } from '../../engine/pg/drizzle.ts';
import { createPushQueues, type PushQueues } from '../../workers/queues.ts';
import { candidatesOf } from '../support/candidates.ts';
import { silentLog, startTestEngine, type TestEngine } from '../support/engine.ts';
import { dumpRedis } from '../support/redis-keys.ts';
import { until } from '../support/until.ts';

const USER = 'zoe-4711';
const ADDRESS = '77 Elm Grove';
const ERASE_MS = 60_000;
/** Longer than a call's statement waits for a lock, and less than a statement of an erase does. */
const LOCKED_MS = 4000;

let t: TestEngine;
let queues: PushQueues;
let worker: NodeJS.Timeout;
beforeAll(async () => {
  t = await startTestEngine({}, undefined, undefined, (redisUrl) => {
    queues = createPushQueues(redisUrl, silentLog);
    return queues.tasks;
  });
  await t.driver('other');
  // As a worker would: all pushes have their outcome at once.
  worker = setInterval(
    () =>
      void t.ctx.db.execute(sql`
      update notifications set done_at = now() where done_at is null`),
    100,
  );
});
afterAll(async () => {
  clearInterval(worker);
  await queues.close();
});

const erase = () => t.engine.personalData.erase(USER);

/** A job of his that was offered: its texts are in the zone's log, its wave in a queue. */
async function offered(): Promise<string> {
  const { id } = await t.post({
    ...{ customerId: USER, address: ADDRESS, actor: `customer:${USER}` },
  });
  await until(async () => (await candidatesOf(t.ctx.db, id)).length === 1);
  await until(async () => (await dumpRedis(t.ctx.redis)).includes(`job ${id}`));
  return id;
}

/** Nothing of him is left in Redis, nor in the rows of his jobs. */
async function expectErased(jobId: string): Promise<void> {
  const redis = await dumpRedis(t.ctx.redis);
  for (const text of [USER, ADDRESS, jobId]) expect(redis).not.toContain(text);
  const [row] = await t.ctx.db.execute<{ customer: string; address: string }>(sql`
    select customer_id as customer, address from jobs where id = ${jobId}`);
  expect(row).toEqual({ customer: expect.stringMatching(/^erased-/), address: '(erased)' });
  expect(await t.ctx.db.execute(sql`select from users_blocked where id = ${USER}`)).toEqual([]);
}

it('finds his texts in Redis also after a run in which Redis failed', {
  timeout: ERASE_MS,
}, async () => {
  const id = await offered();
  const failing = vi.spyOn(t.ctx.redis, 'type').mockRejectedValue(new Error('Redis is away'));
  onTestFinished(() => failing.mockRestore());
  await expect(erase()).rejects.toMatchObject({ cause: { message: 'Redis is away' } });
  failing.mockRestore();
  expect(await erase()).toMatchObject({ ok: true, cancelled: 0 });
  await expectErased(id);
});

it('lets him in again when a step fails', { timeout: ERASE_MS }, async () => {
  const id = await offered();
  await t.ctx.db.execute(sql`alter table driver_days rename to driver_days_away`);
  const failed = await erase().catch((error: unknown) => error);
  await t.ctx.db.execute(sql`alter table driver_days_away rename to driver_days`);
  expect(failed).toBeInstanceOf(Error);
  expect(await t.engine.users.isBlocked(USER)).toBe(false);
  expect(failed).toBeInstanceOf(UnfinishedError);
  expect(failed).toMatchObject({ isBlocked: false });
  expect(await erase()).toMatchObject({ ok: true });
  await expectErased(id);
});

it('lifts the block that a killed run left, but not that of an operator', {
  timeout: ERASE_MS,
}, async () => {
  const { id } = await t.post();
  await t.driver(USER);
  expect(await t.engine.jobs.claim(id, USER)).toMatchObject({ ok: true });
  await t.engine.users.setBlocked(USER, true, 'operator:ops');
  expect(await erase()).toMatchObject({ ok: false, code: 'holds_jobs' });
  expect(await t.engine.users.isBlocked(USER)).toBe(true);
  await t.engine.users.setBlocked(USER, false, 'operator:ops');
  await t.engine.users.setBlocked(USER, true, 'muster');
  expect(await erase()).toMatchObject({ ok: false, code: 'holds_jobs' });
  expect(await t.engine.users.isBlocked(USER)).toBe(false);
  await t.engine.jobs.progress(id, USER, 'completed');
});

it('waits for rows that somebody else has locked, and locks none of them meanwhile', {
  timeout: ERASE_MS,
}, async () => {
  const { id } = await t.post();
  await until(async () => (await candidatesOf(t.ctx.db, id)).includes(USER));
  await t.ctx.db.execute(sql`
    insert into driver_days (driver_id, day) values (${USER}, current_date) on conflict do nothing`);
  // Calls end a transaction that is idle for so long.
  const holder = postgres(t.databaseUrl, { max: 1 });
  onTestFinished(() => holder.end());
  let erasing: ReturnType<typeof erase> | undefined;
  await holder.begin(async (tx) => {
    await tx`select from driver_days where driver_id = ${USER} for update`;
    erasing = erase();
    // A refusal is seen below, by whoever awaits it.
    erasing.catch(() => {});
    // By then his rows of the tables before this one are erased.
    await sleep(LOCKED_MS);
    await t.ctx.db.execute(sql`update job_waves set opened_at = opened_at where job_id = ${id}`);
    const waiting = await t.ctx.db.execute(sql`
      select from pg_stat_activity where wait_event_type = 'Lock' and query like '%driver_days%'
        and datname = current_database()`);
    expect(waiting.length).toBe(1);
  });
  expect(await erasing).toMatchObject({ ok: true });
});
