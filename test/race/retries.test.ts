/**
 * The same wish said twice: because an answer was lost, because a finger was quick, because a network
 * delivered it late. Each scenario runs on Muster and on a version that takes every call for a new one.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { TryAgainError } from '../../engine/context.ts';
import { keys } from '../../engine/redis/keys.ts';
import { cleanups } from '../support/engine.ts';
import { emptyRedis } from '../support/redis-keys.ts';
import { until } from '../support/until.ts';
import {
  type HoldingProxy,
  startHoldingProxy,
  startHoldingRedisProxy,
} from './support/holding-proxy.ts';
import { answerOf, decided, engineVia, type Races, startRaces } from './support/muster.ts';
import { violations } from './support/steps.ts';

let muster: Races;
/** A process whose answers from Postgres can be lost, and the way they take. */
let lossy: Awaited<ReturnType<typeof engineVia>>;
let answers: HoldingProxy;
beforeAll(async () => {
  muster = await startRaces();
  answers = await startHoldingProxy(muster.t.databaseUrl);
  cleanups.push(() => answers.close());
  lossy = await engineVia(muster.t, { databaseUrl: answers.url });
});

/** The row that a claim wrote (its status, with its length), and nothing that is asked beside it. */
const ACCEPTED = '\0\0\0\baccepted';
const WAITING_MS = 30;

interface Claims {
  post(): Promise<string>;
  claim(job: string, driver: string): Promise<boolean>;
  /** The claim is made durable, and its answer is lost. */
  claimUnheard(job: string, driver: string): Promise<void>;
  release(job: string, driver: string): Promise<void>;
  /** How often the customer was told that a driver comes. */
  toldAssigned(job: string): Promise<number>;
}

const musterClaims: Claims = {
  post: () => muster.post(),
  claim: (job, driver) => decided(muster.other, job, driver),
  async claimUnheard(job, driver) {
    answers.hold('answers', ACCEPTED);
    expect(await lossy.jobs.claim(job, driver)).toMatchObject({ code: 'try_again' });
    await until(async () => (await muster.row(job)).status === 'accepted');
    answers.cut();
  },
  async release(job, driver) {
    await muster.release(job, driver);
  },
  async toldAssigned(job) {
    const { told } = await muster.look(job);
    return told.filter((one) => one === 'customer driver_assigned').length;
  },
};

/** `UPDATE … WHERE status = 'requested'`: correct for the ride, and nothing more. */
function guardedUpdate(): Claims {
  const { sql } = muster;
  const told: string[] = [];
  const claim = async (job: string, driver: string) => {
    const { count } = await sql`
      update naive_rides set status = 'accepted', driver = ${driver}
      where id = ${job} and status = 'requested'`;
    if (count === 1) told.push(job);
    return count === 1;
  };
  return {
    async post() {
      await sql`create table if not exists naive_rides (id text, status text, driver text)`;
      const id = randomUUID();
      await sql`insert into naive_rides values (${id}, 'requested', null)`;
      return id;
    },
    claim,
    async claimUnheard(job, driver) {
      await claim(job, driver);
    },
    async release(job) {
      await sql`update naive_rides set status = 'requested', driver = null where id = ${job}`;
    },
    toldAssigned: async (job) => told.filter((id) => id === job).length,
  };
}

// ride-hailing (richxcame): 409 to the winner too; Fleetbase: "Order has already started" is said to
// the driver who started it; nammayatri: a retry meets FoundActiveQuotes or AlreadyAccepted.
describe('retry after a lost answer', () => {
  async function scenario(claims: Claims): Promise<string[]> {
    const found = violations();
    const job = await claims.post();
    await claims.claimUnheard(job, 'd1');
    found.expect(await claims.claim(job, 'd1'), 'the winner is refused his own job');
    found.expect(!(await claims.claim(job, 'd2')), 'two drivers were told that they have it');
    found.expect(await claims.claim(job, 'd1'), 'the winner is refused when he asks once more');
    const told = await claims.toldAssigned(job);
    found.expect(told === 1, `the customer was told ${told} times`);
    return found.list;
  }

  it('Muster: the winner hears so as often as he asks', async () => {
    expect(await scenario(musterClaims)).toEqual([]);
  });

  it('Muster: also in the process that lost the answer, and when he taps twice at once', async () => {
    const job = await muster.post();
    await musterClaims.claimUnheard(job, 'd1');
    expect(await answerOf(lossy, job, 'd2')).toEqual({ code: 'already_accepted' });
    expect(await answerOf(lossy, job, 'd1')).toEqual({ code: null });
    const twice = await muster.post();
    const taps = [muster.t.engine, muster.other, muster.t.engine, muster.other, lossy];
    const won = await Promise.all(taps.map((engine) => decided(engine, twice, 'd1')));
    expect(won).toEqual(taps.map(() => true));
    expect(await muster.settled(twice)).toMatchObject({ version: 2, driverId: 'd1' });
    expect(await musterClaims.toldAssigned(twice)).toBe(1);
  });

  it('a naive version fails it', async () => {
    expect(await scenario(guardedUpdate())).toEqual([
      'the winner is refused his own job',
      'the winner is refused when he asks once more',
    ]);
  });
});

// nammayatri #1614: the driver who cancelled is offered the same ride again, and his accept books.
describe('retry after release', () => {
  async function scenario(claims: Claims): Promise<string[]> {
    const found = violations();
    const job = await claims.post();
    found.expect(await claims.claim(job, 'd1'), 'an open job was refused');
    await claims.release(job, 'd1');
    found.expect(!(await claims.claim(job, 'd1')), 'who gave it back has it again');
    found.expect(await claims.claim(job, 'd2'), 'nobody else can take it');
    await claims.release(job, 'd2');
    found.expect(!(await claims.claim(job, 'd1')), 'who gave it back has it again, later');
    found.expect(await claims.claim(job, 'd3'), 'a third cannot take it');
    return found.list;
  }

  it('Muster: an accept that arrives after the release does not take it again', async () => {
    expect(await scenario(musterClaims)).toEqual([]);
  });

  it('Muster: nor while Redis has not heard of the release, nor after it forgot all', async () => {
    const proxy = await startHoldingRedisProxy(muster.t.redis);
    cleanups.push(() => proxy.close());
    const slow = await engineVia(muster.t, { redisUrl: proxy.url });
    const job = await muster.post();
    expect(await decided(muster.other, job, 'd1')).toBe(true);
    await muster.settled(job);
    proxy.holdRequests();
    const released = slow.jobs.release(job, 'd1', null);
    await until(async () => (await muster.row(job)).status === 'pending');
    expect(await answerOf(muster.other, job, 'd1')).toEqual({ code: 'released' });
    proxy.release();
    expect(await released).toMatchObject({ ok: true });
    const { zone } = await muster.settled(job);
    await muster.t.ctx.redis.del(keys.declined(zone, job));
    expect(await answerOf(muster.other, job, 'd1')).toEqual({ code: 'released' });
    await emptyRedis(muster.t.ctx.redis);
    expect(await answerOf(muster.other, job, 'd1')).toEqual({ code: 'released' });
    expect(await decided(muster.other, job, 'd2')).toBe(true);
  });

  it('Muster: who taps after the release is not refused by a commit from before it', async () => {
    const job = await muster.post();
    answers.hold('answers', ACCEPTED);
    const late = lossy.jobs.claim(job, 'd1');
    await until(() => answers.holding);
    // He hears elsewhere that he has it, and gives it back.
    expect(await decided(muster.other, job, 'd1')).toBe(true);
    expect(await muster.release(job, 'd1')).toBe(true);
    await until(() => muster.isOpen(job));
    const next = lossy.jobs.claim(job, 'd2');
    // It waits for the tap before it by then; were it slower, it would ask by itself.
    await sleep(WAITING_MS);
    answers.release();
    await late;
    expect(await next).not.toMatchObject({ code: 'already_accepted' });
    expect(await decided(muster.other, job, 'd2')).toBe(true);
  });

  it('a naive version fails it', async () => {
    expect(await scenario(guardedUpdate())).toEqual([
      'who gave it back has it again',
      'nobody else can take it',
      'who gave it back has it again, later',
      'a third cannot take it',
    ]);
  });
});

describe('a call that is repeated', () => {
  it('a release is confirmed as often as it is asked for, also when another has the job', async () => {
    const job = await muster.post();
    expect(await decided(muster.other, job, 'd1')).toBe(true);
    const released = await muster.t.engine.jobs.release(job, 'd1', null);
    expect(released).toMatchObject({ ok: true, job: { status: 'pending', version: 3 } });
    expect(await muster.other.jobs.release(job, 'd1', null)).toMatchObject({ ok: true });
    expect(await decided(muster.other, job, 'd2')).toBe(true);
    expect(await muster.other.jobs.release(job, 'd1', null)).toMatchObject({ ok: true });
    expect(await muster.other.jobs.release(job, 'd3', null)).toMatchObject({
      code: 'job_not_found',
    });
    const { told } = await muster.look(job);
    expect(told.filter((one) => one === 'customer job_released')).toHaveLength(1);
  });

  it('is settled by its repetition when the first one failed there', async () => {
    const post = { idempotency: { sub: 'c1', key: randomUUID(), body: {} } };
    const { id } = await muster.t.post(post);
    const unsettle = async () => {
      await muster.settled(id);
      await muster.sql`update jobs set settled_version = version - 1 where id = ${id}`;
    };
    await unsettle();
    expect((await muster.t.post(post)).id).toBe(id);
    expect(await muster.settled(id)).toMatchObject({ version: 1 });
    await muster.cancel(id);
    await unsettle();
    expect(await muster.cancel(id)).toBe(true);
    expect(await muster.settled(id)).toMatchObject({ version: 2 });
  });

  it('Redis hears of a release that it missed, also from a process that is about to stop', async () => {
    const proxy = await startHoldingRedisProxy(muster.t.redis);
    cleanups.push(() => proxy.close());
    const slow = await engineVia(muster.t, { redisUrl: proxy.url });
    const job = await muster.post();
    expect(await decided(muster.other, job, 'd1')).toBe(true);
    await muster.settled(job);
    proxy.holdRequests();
    const released = slow.jobs.release(job, 'd1', null);
    await expect(released).rejects.toThrow(TryAgainError);
    expect(await muster.isOpen(job)).toBe(false);
    proxy.cut();
    await slow.close();
    expect(await muster.isOpen(job)).toBe(true);
    expect(await muster.row(job)).toMatchObject({ version: 3, settledVersion: 3 });
    expect(await decided(muster.other, job, 'd2')).toBe(true);
  });
});
