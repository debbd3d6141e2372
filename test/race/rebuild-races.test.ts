/** A rebuild of a zone against live traffic. On Muster, and on a version that empties and fills. */
import { beforeAll, describe, expect, it } from 'vitest';
import { isClaimable } from '../../engine/domain/job.ts';
import type { Engine } from '../../engine/engine.ts';
import { readOpenJobs } from '../../engine/redis/open-jobs.ts';
import { cleanups } from '../support/engine.ts';
import { emptyRedis } from '../support/redis-keys.ts';
import { until } from '../support/until.ts';
import { ROWS_READ, startHoldingProxy } from './support/holding-proxy.ts';
import { decided, engineVia, type Races, startRaces } from './support/muster.ts';
import { type Verb, violations } from './support/steps.ts';

let muster: Races;
beforeAll(async () => {
  muster = await startRaces();
});

/** A store that lost everything and is filled from the rows while people go on working. */
interface Rebuilt {
  isOpen(job: string): Promise<boolean>;
  /** Empties the store; `traffic` comes between reading the rows and writing them. */
  rebuild(traffic: () => Promise<void>): Promise<void>;
}

// tile38 and Redis users in general (node-georedis #8 and others): a reload writes what it read, and
// what changed meanwhile is undone. nammayatri #9930: cancelled rides still get driver calls.
describe('rebuild against live traffic', () => {
  async function scenario(store: Rebuilt): Promise<string[]> {
    const found = violations();
    const [taken, cancelled, held, kept] = [
      await muster.post(),
      await muster.post(),
      await muster.post(),
      await muster.post(),
    ];
    await muster.accept(held, 'd1');
    await muster.settled(held);
    let posted = '';
    await store.rebuild(async () => {
      const verbs: Verb[] = [
        () => muster.accept(taken, 'd2'),
        () => muster.cancel(cancelled),
        () => muster.release(held, 'd1'),
        async () => (await muster.t.engine.jobs.decline(kept, 'd2', null)).ok,
      ];
      for (const verb of verbs) found.expect(await verb(), 'live traffic was refused');
      posted = await muster.post();
    });
    const open = { taken: false, cancelled: false, released: true, kept: true, posted: true };
    for (const [name, id] of Object.entries({ taken, cancelled, released: held, kept, posted })) {
      const shouldBe = open[name as keyof typeof open];
      const is = await store.isOpen(id);
      found.expect(is === shouldBe, `${name}, yet ${is ? 'open' : 'closed'}`);
    }
    return found.list;
  }

  it('Muster: what was read before is not written over what came since', async () => {
    const proxy = await startHoldingProxy(muster.t.databaseUrl);
    cleanups.push(() => proxy.close());
    const slow = await engineVia(muster.t, { databaseUrl: proxy.url });
    expect(await scenario(pausedRebuild(slow, proxy))).toEqual([]);
    const driver = await muster.other.drivers.know('d2');
    const offered = driver ? await muster.other.jobs.available(driver) : [];
    for (const { id } of offered) {
      expect(await muster.row(id)).toMatchObject({ status: 'pending' });
    }
  });

  it('Muster: a zone that was emptied while it was filled does not count', async () => {
    const proxy = await startHoldingProxy(muster.t.databaseUrl);
    cleanups.push(() => proxy.close());
    const slow = await engineVia(muster.t, { databaseUrl: proxy.url });
    const job = await muster.post();
    const { zone } = await muster.row(job);
    const { redis } = muster.t.ctx;
    await emptyRedis(redis);
    proxy.hold('answers', ROWS_READ);
    const rebuilt = slow.ctx.projection.rebuild(zone);
    await until(() => proxy.holding);
    await emptyRedis(redis);
    proxy.release();
    await expect(rebuilt).rejects.toThrow('emptied');
    expect(await readOpenJobs(redis, zone)).toBeNull();
    await slow.ctx.projection.rebuild(zone);
    expect(await muster.isOpen(job)).toBe(true);
  });

  it('Muster: many processes rebuild at once, under load, and none undoes another', async () => {
    const third = await muster.t.another();
    const { zone } = await muster.row(await muster.post());
    for (let round = 0; round < 5; round++) {
      const jobs = await Promise.all(Array.from({ length: 12 }, () => muster.post()));
      await emptyRedis(muster.t.ctx.redis);
      await Promise.all([
        ...[muster.t.engine, muster.other, third].map((engine) =>
          engine.ctx.projection.rebuild(zone),
        ),
        ...jobs.map((job, i) =>
          i % 3 === 0
            ? muster.cancel(job)
            : decided(i % 3 === 1 ? third : muster.other, job, i % 2 ? 'd1' : 'd2'),
        ),
        muster.post(),
      ]);
      for (const job of jobs) {
        const { status } = await muster.settled(job);
        expect(await muster.isOpen(job)).toBe(isClaimable(status));
      }
    }
  });

  it('a naive version fails it', async () => {
    const { redis } = muster.t.ctx;
    const found = await scenario({
      isOpen: async (job) => (await redis.sismember('naive:copy', job)) === 1,
      async rebuild(traffic) {
        const rows = await muster.sql<{ id: string }[]>`
          select id from jobs where status in ('pending', 'confirmed', 'assigned')`;
        await traffic();
        await redis.del('naive:copy');
        for (const { id } of rows) await redis.sadd('naive:copy', id);
      },
    });
    expect(found).toEqual([
      'taken, yet open',
      'cancelled, yet open',
      'released, yet closed',
      'posted, yet closed',
    ]);
  });

  /** A process that has read the rows and is slow to hear of them. */
  function pausedRebuild(
    slow: Engine,
    proxy: Awaited<ReturnType<typeof startHoldingProxy>>,
  ): Rebuilt {
    return {
      isOpen: (job) => muster.isOpen(job),
      async rebuild(traffic) {
        const { zone } = await muster.row(await muster.post());
        await emptyRedis(muster.t.ctx.redis);
        proxy.hold('answers', ROWS_READ);
        const rebuilt = slow.ctx.projection.rebuild(zone);
        await until(() => proxy.holding);
        await traffic();
        proxy.release();
        await rebuilt;
      },
    };
  }
});
