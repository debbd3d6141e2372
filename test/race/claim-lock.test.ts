/**
 * Locks that do not guard what they seem to: owners who outlive them. Each scenario runs on Muster and on the
 * lock as it was shipped elsewhere.
 */
import { randomUUID } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { commitClaims } from '../../engine/jobs/claim/commit.ts';
import type { RedisClient } from '../../engine/redis/client.ts';
import { claimJob as askGate, unclaimJob } from '../../engine/redis/job-scripts.ts';
import { cleanups } from '../support/engine.ts';
import { settleNow, startMaintenance } from '../support/maintenance.ts';
import { until } from '../support/until.ts';
import { startHoldingProxy } from './support/holding-proxy.ts';
import { answerOf, decided, engineVia, type Races, startRaces } from './support/muster.ts';
import { violations } from './support/steps.ts';

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
