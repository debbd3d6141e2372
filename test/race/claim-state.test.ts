/**
 * States that are not there or not current: what a lock remembers is no reason to let anybody in. Each scenario
 * runs on Muster and on the lock as it was shipped elsewhere.
 */
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RedisClient } from '../../engine/redis/client.ts';
import { emptyRedis, keysOf } from '../support/redis-keys.ts';
import { until } from '../support/until.ts';
import { decided, type Races, startRaces } from './support/muster.ts';
import { copyOf, violations } from './support/steps.ts';

let muster: Races;
let redis: RedisClient;
beforeAll(async () => {
  muster = await startRaces({ claimLeaseMs: 1000 });
  redis = muster.t.ctx.redis;
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
