/**
 * A resync beside live traffic: what Redis holds may be newer than a row that was read before, never than one
 * that is read after. So it takes nothing for a Postgres that went back, however often it looks.
 */

import { beforeAll, expect, it } from 'vitest';
import type { EngineContext } from '../../engine/context.ts';
import { mendDrivers } from '../../engine/drivers/mend.ts';
import type { Engine } from '../../engine/engine.ts';
import type { SQL } from '../../engine/pg/drizzle.ts';
import { compareJobs } from '../../engine/projection/compare.ts';
import { type Races, startRaces } from './support/muster.ts';

const ROUNDS = 8;
const PEOPLE = ['d1', 'd2', 'd3'] as const;
const NOTHING = { raised: 0, gone: 0, drivers: 0 };

let muster: Races;
beforeAll(async () => {
  muster = await startRaces({ driverMaxActiveJobs: 2 });
});

/** The engine's stores; whenever rows like this were read, `happens` before anybody hears of them. */
function slowlyReading(column: string, happens: () => Promise<unknown>): EngineContext {
  const { ctx } = muster.t;
  const execute = async (query: SQL) => {
    const rows = await ctx.db.execute(query);
    if (rows.some((row) => column in row)) await happens();
    return rows;
  };
  return { ...ctx, db: Object.assign(Object.create(ctx.db), { execute }) };
}

it('takes no job for one that went back which changes between the two reads, each time', async () => {
  const { engine } = muster.t;
  const id = await muster.post();
  const { zone } = await muster.row(id);
  let changes = 0;
  const ctx = slowlyReading('settledVersion', async () => {
    changes++;
    await engine.jobs.dispatchAgain(id, 'operator:o');
  });
  const found = await compareJobs(ctx, [{ id, zone }], null);
  expect(found).toMatchObject({ raised: [], gone: [] });
  expect((await muster.row(id)).version).toBe(1 + changes);
});

it('nor a driver', async () => {
  const { engine } = muster.t;
  const before = (await engine.drivers.find('d3'))?.rev ?? 0;
  let changes = 0;
  const slow = slowlyReading('syncedRev', async () => {
    changes++;
    await engine.drivers.change('d3', { truckType: `type ${changes}` });
  });
  expect(await mendDrivers(slow, ['d3'])).toBe(0);
  expect((await engine.drivers.find('d3'))?.rev).toBe(before + changes);
  await engine.drivers.change('d3', { truckType: null });
});

it('mends nothing where nothing went back, whatever happens meanwhile', async () => {
  const { t, other } = muster;
  const third = await t.another();
  let busy = true;

  /** One driver's hour: all that changes a job, a refusal or a driver, in turns on two processes. */
  async function work(driver: string, next: string, engine: Engine): Promise<void> {
    const { jobs, drivers } = engine;
    const [taken, declined, reserved] = [await t.post(), await t.post(), await t.post()];
    await jobs.decline(declined.id, driver, null).catch(() => {});
    await jobs.claim(taken.id, driver);
    await jobs.assign(reserved.id, next, 'operator:o');
    await drivers.change(driver, { truckType: Math.random() < 0.5 ? 'van' : null });
    await jobs.release(taken.id, driver, null).catch(() => {});
    await jobs.decline(reserved.id, next, null).catch(() => {});
    await jobs.claim(declined.id, next);
    await jobs.progress(declined.id, next, 'completed').catch(() => {});
    await drivers.setAvailability(driver, false);
    await jobs.cancel(reserved.id, 'customer:c1', null);
    await drivers.setAvailability(driver, true);
  }

  async function traffic(): Promise<void> {
    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all(
        PEOPLE.map((driver, i) =>
          work(driver, PEOPLE[(i + 1) % PEOPLE.length] as string, round % 2 ? other : t.engine),
        ),
      );
    }
    busy = false;
  }

  let looks = 0;
  async function looking(): Promise<void> {
    while (busy) {
      expect(await third.resync()).toMatchObject(NOTHING);
      looks++;
    }
  }
  await Promise.all([traffic(), looking(), looking()]);
  expect(looks).toBeGreaterThan(1);
  expect(await third.resync()).toMatchObject(NOTHING);
  const [events] = await muster.sql<{ n: number }[]>`
    select count(*)::int as n from job_events where type = 'job.resynced'`;
  expect(events?.n).toBe(0);
}, 120_000);
