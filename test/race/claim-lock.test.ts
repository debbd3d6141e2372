/**
 * Locks that do not guard what they seem to: owners who outlive them, states that are not there or
 * not current. Each scenario runs on Muster and on the lock as it was
 * shipped elsewhere.
 */
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { commitClaims } from '../../engine/jobs/claim/commit.ts';
import type { RedisClient } from '../../engine/redis/client.ts';
import { claimJob as askGate, unclaimJob } from '../../engine/redis/job-scripts.ts';
import { cleanups } from '../support/engine.ts';
import { settleNow, startMaintenance } from '../support/maintenance.ts';
import { emptyRedis, keysOf } from '../support/redis-keys.ts';
import { until } from '../support/until.ts';
import { startHoldingProxy } from './support/holding-proxy.ts';
import { answerOf, decided, engineVia, type Races, startRaces } from './support/muster.ts';
import { copyOf, violations } from './support/steps.ts';

let muster: Races;
let redis: RedisClient;
beforeAll(async () => {
  muster = await startRaces({ claimLeaseMs: 1000 });
  redis = muster.t.ctx.redis;
});

/** A claim taken apart, as it is when its process stalls in the middle. */
interface Steps {
  post(): Promise<string>;
  /** Past the lock, nothing written yet; null when it is held by somebody else. */
  enter(job: string, driver: string, leaseMs: number): Promise<Ticket | null>;
  /** The lock of who is inside ends, and he knows nothing of it. */
  outlive(ticket: Ticket): Promise<void>;
  /** Writes, and says whether the driver is told that he has it. */
  finish(ticket: Ticket): Promise<boolean>;
  /** Gives up: ends the lock as it does when all is well. */
  giveUp(ticket: Ticket): Promise<void>;
}
interface Ticket {
  job: string;
  driver: string;
  token: string;
  version: number;
}

const SHORT_MS = 30;
const LONG_MS = 60_000;

const musterSteps: Steps = {
  post: () => muster.post(),
  async enter(job, driver, leaseMs) {
    const token = randomUUID();
    const { zone } = await muster.row(job);
    const gate = await askGate(redis, { zone, id: job, driverId: driver, token, leaseMs });
    return gate.kind === 'granted' ? { job, driver, token, version: gate.version } : null;
  },
  outlive: ({ job, version }) => leaseEnds(muster, job, version),
  async finish({ job, driver, version }) {
    const intent = { jobId: job, driverId: driver, version };
    const [row] = await commitClaims(muster.t.ctx.db, [intent], { wait: true, maxActiveJobs: 0 });
    if (row) await settleNow(muster.t.ctx, row);
    return row !== undefined;
  },
  async giveUp({ job, token }) {
    const { zone } = await muster.row(job);
    await unclaimJob(redis, { zone, id: job, token });
  },
};

/** The maintenance of another process finds that a lease is over, and fences. */
async function leaseEnds(races: Races, job: string, version: number): Promise<void> {
  const maintenance = startMaintenance(races.t, races.other.ctx);
  await until(async () => {
    await maintenance.tick();
    return (await races.row(job)).version > version;
  });
  await maintenance.close();
  await races.settled(job);
}

// nammayatri #7866: one ride accepted by two drivers. SearchTryLocker: INCR, EXPIRE 5 s, the lock is
// not tied to the state; its DECR after the end leaves -1 without a lifetime, and the next two are
// let in. shared-kernel: unlock by plain DEL, no owner (#12315: "short TTL, no fencing token").
describe('lock outlived by its owner', () => {
  async function lateWrite(steps: Steps): Promise<string[]> {
    const found = violations();
    const job = await steps.post();
    const first = await steps.enter(job, 'd1', SHORT_MS);
    if (!first) return ['an open job was refused'];
    await steps.outlive(first);
    const second = await steps.enter(job, 'd2', LONG_MS);
    found.expect(second !== null, 'the job is stuck');
    const secondWon = second !== null && (await steps.finish(second));
    const firstWon = await steps.finish(first);
    found.expect(secondWon, 'the second was refused');
    found.expect(!(firstWon && secondWon), 'two drivers were told that they have it');
    return found.list;
  }
  async function lateWriteUnasked(steps: Steps): Promise<string[]> {
    const job = await steps.post();
    const first = await steps.enter(job, 'd1', SHORT_MS);
    if (!first) return ['an open job was refused'];
    await steps.outlive(first);
    // Told to try again, he may have gone elsewhere.
    return (await steps.finish(first)) ? ['who was told to try again has it unasked'] : [];
  }
  async function lateUnlock(steps: Steps): Promise<string[]> {
    const found = violations();
    const job = await steps.post();
    const first = await steps.enter(job, 'd1', SHORT_MS);
    if (!first) return ['an open job was refused'];
    await steps.outlive(first);
    const second = await steps.enter(job, 'd2', LONG_MS);
    await steps.giveUp(first);
    const third = await steps.enter(job, 'd3', LONG_MS);
    found.expect(third === null, 'a third was let in beside the second');
    found.expect(second !== null && (await steps.finish(second)), 'the second was refused');
    return found.list;
  }

  it('Muster: the late owner neither writes nor unlocks', async () => {
    expect(await lateWrite(musterSteps)).toEqual([]);
    expect(await lateWriteUnasked(musterSteps)).toEqual([]);
    expect(await lateUnlock(musterSteps)).toEqual([]);
  });

  it('Muster: a process whose statement arrives after its lease changes nothing', async () => {
    const proxy = await startHoldingProxy(muster.t.databaseUrl);
    cleanups.push(() => proxy.close());
    const frozen = await engineVia(muster.t, { databaseUrl: proxy.url });
    expect(await decided(frozen, await muster.post(), 'd1')).toBe(true);
    const job = await muster.post();
    proxy.hold('requests');
    expect(await frozen.jobs.claim(job, 'd1')).toMatchObject({ code: 'try_again' });
    // Its lease may be over; until the fence says so nobody gets in beside it.
    expect(await muster.other.jobs.claim(job, 'd2')).toMatchObject({ code: 'try_again' });
    const { version } = await muster.row(job);
    await leaseEnds(muster, job, version);
    expect(await decided(muster.other, job, 'd2')).toBe(true);
    proxy.release();
    expect(await answerOf(frozen, job, 'd1')).toEqual({ code: 'already_accepted' });
    expect(await muster.look(job)).toMatchObject({ status: 'accepted', driverId: 'd2' });
  });

  it.each([
    ['SETNX and DEL', () => setnxSteps(redis)],
    ['INCR and DECR', () => counterSteps(redis)],
  ])('a naive version fails it: %s', async (_lock, steps) => {
    expect(await lateWrite(steps())).toEqual(['two drivers were told that they have it']);
    expect(await lateWriteUnasked(steps())).toEqual(['who was told to try again has it unasked']);
    expect(await lateUnlock(steps())).toEqual(['a third was let in beside the second']);
  });
});

/** States in which nobody may take a job, however it is known to the lock. */
interface Claims {
  post(): Promise<string>;
  claim(job: string, driver: string): Promise<boolean>;
  cancel(job: string): Promise<unknown>;
  expire(job: string): Promise<unknown>;
  /** The lock's store forgets the job. */
  forget(job: string): Promise<void>;
}

// ridesharing-socket (ayush-jadaun): `if (not status) or status == 'pending' then SET`: an expired,
// cancelled or never created ride is claimed, and the key then never expires.
describe('claim of an unknown, expired or cancelled job', () => {
  async function scenario(claims: Claims): Promise<string[]> {
    const found = violations();
    const posted = await claims.post();
    const unknown = `${posted.slice(0, -12)}${'0'.repeat(12)}`;
    found.expect(!(await claims.claim(unknown, 'd1')), 'claimed what does not exist');
    const left = (await keysOf(redis)).filter((key) => key.includes(unknown));
    found.expect(left.length === 0, 'something is kept of what does not exist');
    for (const [ended, end] of [
      ['cancelled', claims.cancel],
      ['expired', claims.expire],
    ] as const) {
      const job = await claims.post();
      await end(job);
      found.expect(!(await claims.claim(job, 'd1')), `claimed a job that is ${ended}`);
      await claims.forget(job);
      found.expect(
        !(await claims.claim(job, 'd2')),
        `claimed a job that was ${ended} and forgotten`,
      );
    }
    return found.list;
  }

  it('Muster: no refusal depends on what Redis remembers', async () => {
    const { sql, t } = muster;
    const found = await scenario({
      post: () => muster.post(),
      claim: (job, driver) => decided(muster.other, job, driver),
      cancel: (job) => muster.cancel(job),
      // Redis does not know of it; the tap finds out.
      expire: (job) => sql`update jobs set expires_at = now() where id = ${job}`,
      forget: async () => {
        await emptyRedis(t.ctx.redis);
      },
    });
    expect(found).toEqual([]);
  });

  it('a naive version fails it', async () => {
    const script = `local status = redis.call('GET', KEYS[1])
      if (not status) or status == 'pending' then redis.call('SET', KEYS[1], ARGV[1]) return 1 end
      return 0`;
    const keyOf = (job: string) => `naive:ride:${job}`;
    const found = await scenario({
      async post() {
        const job = randomUUID();
        await redis.set(keyOf(job), 'pending', 'EX', 60);
        return job;
      },
      claim: async (job, driver) => (await redis.eval(script, 1, keyOf(job), driver)) === 1,
      // The status in Redis is not changed by a cancel, and goes with its lifetime.
      cancel: async () => {},
      expire: (job) => redis.del(keyOf(job)),
      forget: async (job) => {
        await redis.del(keyOf(job));
      },
    });
    expect(found).toEqual([
      'claimed what does not exist',
      'something is kept of what does not exist',
      'claimed a job that is cancelled',
      'claimed a job that was cancelled and forgotten',
      'claimed a job that is expired',
      'claimed a job that was expired and forgotten',
    ]);
  });
});

// nammayatri: the count of quotes and the status that another service flips are read from a replica
// (`runInReplica countAllBySTId`). Here the copy that is behind is Redis, put back to before.
describe('stale replica of the state', () => {
  async function scenario(
    claims: Pick<Claims, 'post' | 'claim'> & { isOffered(job: string): Promise<boolean> },
  ): Promise<string[]> {
    const found = violations();
    const job = await claims.post();
    const putBack = await copyOf(redis);
    found.expect(await claims.claim(job, 'd1'), 'an open job was refused');
    await putBack();
    found.expect(await claims.isOffered(job), 'the copy is not behind');
    found.expect(!(await claims.claim(job, 'd2')), 'two drivers were told that they have it');
    found.expect(await claims.claim(job, 'd1'), 'the winner was told that he has it not');
    const gone = await until(async () => !(await claims.isOffered(job)), { timeoutMs: 2000 }).catch(
      () => false,
    );
    found.expect(gone, 'taken, yet offered');
    return found.list;
  }

  it('Muster: what Redis says is never the answer, and a tap brings it up to date', async () => {
    const found = await scenario({
      post: () => muster.post(),
      async claim(job, driver) {
        const won = await decided(muster.other, job, driver);
        await muster.settled(job);
        return won;
      },
      isOffered: (job) => muster.isOpen(job),
    });
    expect(found).toEqual([]);
  });

  it('Muster: nor is it when only the winner taps again', async () => {
    const job = await muster.post();
    const putBack = await copyOf(redis);
    expect(await decided(muster.t.engine, job, 'd1')).toBe(true);
    await muster.settled(job);
    await putBack();
    expect(await decided(muster.other, job, 'd1')).toBe(true);
    await until(async () => !(await muster.isOpen(job)), { what: 'the job is offered to nobody' });
  });

  it('a naive version fails it', async () => {
    const owner = new Map<string, string>();
    const found = await scenario({
      async post() {
        const job = randomUUID();
        await redis.set(`naive:status:${job}`, 'pending');
        return job;
      },
      async claim(job, driver) {
        if ((await redis.get(`naive:status:${job}`)) !== 'pending')
          return owner.get(job) === driver;
        owner.set(job, driver);
        await redis.set(`naive:status:${job}`, 'accepted');
        return true;
      },
      isOffered: async (job) => (await redis.get(`naive:status:${job}`)) === 'pending',
    });
    expect(found).toEqual([
      'two drivers were told that they have it',
      'the winner was told that he has it not',
    ]);
  });
});

/** SETNX with a lifetime, DEL to unlock, then a write that trusts the lock. */
function setnxSteps(client: RedisClient): Steps {
  return lockSteps({
    take: async (key, leaseMs) => (await client.set(key, '1', 'PX', leaseMs, 'NX')) === 'OK',
    unlock: (key) => client.del(key),
    ended: async (key) => (await client.exists(key)) === 0,
  });
}

/** INCR with a lifetime, granted at one; DECR to unlock. */
function counterSteps(client: RedisClient): Steps {
  return lockSteps({
    async take(key, leaseMs) {
      const count = await client.incr(key);
      if (count > 1) return false;
      await client.pexpire(key, leaseMs);
      return true;
    },
    unlock: (key) => client.decr(key),
    ended: async (key) => (await client.exists(key)) === 0,
  });
}

function lockSteps(lock: {
  take(key: string, leaseMs: number): Promise<boolean>;
  unlock(key: string): Promise<unknown>;
  ended(key: string): Promise<boolean>;
}): Steps {
  const keyOf = (job: string) => `naive:lock:${job}`;
  return {
    post: async () => randomUUID(),
    async enter(job, driver, leaseMs) {
      if (!(await lock.take(keyOf(job), leaseMs))) return null;
      return { job, driver, token: '', version: 0 };
    },
    async outlive({ job }) {
      await until(() => lock.ended(keyOf(job)));
    },
    finish: async () => true,
    async giveUp({ job }) {
      await lock.unlock(keyOf(job));
    },
  };
}
