/**
 * Claims that count and wait: a driver who takes more than he may, a limit that is never lifted, and
 * one locked row that would hold up everybody. Each scenario runs on Muster and on a version that
 * counts first and writes later, or writes one after the other.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { withDeadline } from '../../engine/context.ts';
import { cleanups } from '../support/engine.ts';
import { startMaintenance } from '../support/maintenance.ts';
import { until } from '../support/until.ts';
import { startHoldingProxy } from './support/holding-proxy.ts';
import { decided, engineVia, type Races, startRaces } from './support/muster.ts';
import { contend, holdRow, type Verb, violations, waiting } from './support/steps.ts';

let muster: Races;
let limit: Races;
beforeAll(async () => {
  muster = await startRaces();
  limit = await startRaces({ driverMaxActiveJobs: 1 });
});

/** One driver, with a limit of one job. */
interface Limited {
  driver(id: string): Promise<void>;
  post(): Promise<string>;
  claim(process: 0 | 1, job: string, driver: string): Promise<boolean>;
  contend(driver: string, first: Verb, second: Verb): Promise<[boolean, boolean]>;
  held(driver: string): Promise<number>;
}

// nammayatri #8111, #8112 (5 of 5 times), #9485; ride-hailing (richxcame): accept looks at the ride
// only; Fleetbase overwrites the driver's current job.
describe('one driver, two jobs at once', () => {
  async function scenario(limited: Limited, rounds: number): Promise<string[]> {
    const found = violations();
    for (let round = 0; round < rounds; round++) {
      const driver = `busy${round}`;
      await limited.driver(driver);
      const [one, two] = [await limited.post(), await limited.post()];
      const answers = await limited.contend(
        driver,
        () => limited.claim(0, one, driver),
        () => limited.claim(1, two, driver),
      );
      const won = answers.filter(Boolean).length;
      found.expect(won === 1, `won ${won} jobs at once`);
      found.expect((await limited.held(driver)) === won, 'holds what he was not told of');
    }
    return found.list;
  }

  it('Muster: the limit is counted where the claim commits', async () => {
    const { sql } = limit;
    const found = await scenario(
      {
        driver: (id) => limit.t.driver(id),
        post: () => limit.post(),
        claim: (process, job, driver) =>
          decided(process === 0 ? limit.t.engine : limit.other, job, driver),
        contend: (driver, first, second) =>
          contend(sql, { table: 'drivers', id: driver }, first, second),
        async held(driver) {
          const [row] = await sql<{ n: number }[]>`
            select count(*)::int as n from jobs where driver_id = ${driver} and status = 'accepted'`;
          return row?.n ?? 0;
        },
      },
      20,
    );
    expect(found).toEqual([]);
  });

  it('Muster: nor is a driver kept at his limit by a process that dies while it frees him', async () => {
    const proxy = await startHoldingProxy(limit.t.databaseUrl);
    cleanups.push(() => proxy.close());
    const dying = await engineVia(limit.t, { databaseUrl: proxy.url });
    await limit.t.driver('freed');
    const job = await limit.post();
    expect(await decided(limit.other, job, 'freed')).toBe(true);
    await limit.settled(job);
    proxy.hold('requests', 'update drivers set rev');
    const cancelled = dying.jobs.cancel(job, 'customer:c1', null).catch(() => null);
    await until(() => proxy.holding);
    proxy.cut();
    await cancelled;
    expect(await limit.cancel(job)).toBe(true);
    const next = await limit.post();
    const maintenance = startMaintenance(limit.t, limit.other.ctx);
    await until(async () => {
      await maintenance.tick();
      const driver = await limit.other.drivers.know('freed');
      return driver && (await limit.other.jobs.available(driver)).some(({ id }) => id === next);
    });
    await maintenance.close();
    expect(await decided(limit.other, next, 'freed')).toBe(true);
  });

  it('a naive version fails it', async () => {
    const bothCounted = new Map<string, { count: number; go: PromiseWithResolvers<void> }>();
    const { sql } = muster;
    await sql`create table naive_held (job text primary key, driver text)`;
    const held = async (driver: string) => {
      const [row] = await sql<{ n: number }[]>`
        select count(*)::int as n from naive_held where driver = ${driver}`;
      return row?.n ?? 0;
    };
    const found = await scenario(
      {
        driver: async (id) => {
          bothCounted.set(id, { count: 0, go: Promise.withResolvers() });
        },
        post: async () => randomUUID(),
        async claim(_process, job, driver) {
          if ((await held(driver)) >= 1) return false;
          const barrier = bothCounted.get(driver);
          if (barrier && ++barrier.count === 2) barrier.go.resolve();
          await barrier?.go.promise;
          await sql`insert into naive_held values (${job}, ${driver})`;
          return true;
        },
        contend: (_driver, first, second) => Promise.all([first(), second()]),
        held,
      },
      2,
    );
    expect(found).toEqual(['won 2 jobs at once']);
  });
});

// What a group commit could add to the list: everybody waits for whoever holds one row, as behind the
// global lock of a single writer.
describe('one locked row stalls all claims', () => {
  /** Taps on two locked rows, then on a free one; what the last one hears while they are locked. */
  async function scenario(
    races: Races,
    table: 'jobs' | 'drivers',
    claim: (job: string, driver: string) => Promise<boolean>,
  ): Promise<string[]> {
    const found = violations();
    const jobs = [await races.post(), await races.post(), await races.post()] as const;
    const drivers = ['d1', 'd2', 'd3'] as const;
    const locked = table === 'jobs' ? jobs : drivers;
    const holds = [
      await holdRow(races.sql, { table, id: locked[0] }),
      await holdRow(races.sql, { table, id: locked[1] }),
    ];
    const stuck = [claim(jobs[0], drivers[0]), claim(jobs[1], drivers[1])];
    await waiting(races.sql, 1);
    found.expect(await claim(jobs[2], drivers[2]), `a free claim waits for locked ${table}`);
    for (const hold of holds) await hold.release();
    await Promise.all(stuck);
    return found.list;
  }
  const once = (races: Races) => async (job: string, driver: string) =>
    (await races.t.engine.jobs.claim(job, driver)).ok;

  it('Muster: locked jobs and locked drivers are waited for apart', async () => {
    expect(await scenario(muster, 'jobs', once(muster))).toEqual([]);
    expect(await scenario(limit, 'drivers', once(limit))).toEqual([]);
  });

  it('Muster: drivers who try locked jobs again and again keep no connections from the others', async () => {
    const { sql, t } = muster;
    const jobs = await Promise.all(Array.from({ length: 4 }, () => muster.post()));
    const holds = await Promise.all(jobs.map((id) => holdRow(sql, { table: 'jobs', id })));
    let locked = true;
    const eager = jobs.flatMap((id) =>
      ['d1', 'd2'].map(async (driver) => {
        while (locked) await t.engine.jobs.claim(id, driver);
      }),
    );
    const answers = [];
    for (let n = 0; n < 25; n++) {
      answers.push(await t.engine.jobs.claim(await muster.post(), 'd3'));
      await sleep(100);
    }
    locked = false;
    for (const hold of holds) await hold.release();
    await Promise.all(eager);
    expect(answers.filter(({ ok }) => !ok)).toEqual([]);
  });

  it('a naive version fails it', async () => {
    let before: Promise<unknown> = Promise.resolve();
    const found = await scenario(muster, 'jobs', (job, driver) => {
      // A queue whose writer takes one claim after the other.
      const mine = before.then(
        () => muster.sql`
          update jobs set status = 'accepted', driver_id = ${driver}
          where id = ${job} and status = 'pending'`,
      );
      before = mine;
      return withDeadline(mine, 600, () => new Error('late')).then(
        () => true,
        () => false,
      );
    });
    expect(found).toEqual(['a free claim waits for locked jobs']);
  });
});
