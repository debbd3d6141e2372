/** Operators who assign or suspend while drivers tap. On Muster, and on a version that reads, checks and writes. */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { cleanups } from '../support/engine.ts';
import { until } from '../support/until.ts';
import { ROWS_READ, startHoldingProxy } from './support/holding-proxy.ts';
import { engineVia, type JobSystem, type Races, startRaces } from './support/muster.ts';
import { createReadCheckWrite } from './support/read-check-write.ts';
import { eitherFirst as eitherOf, type Verb, violations } from './support/steps.ts';

const ROUNDS = 30;
const NAIVE_ROUNDS = 2;

let muster: Races;
let naive: JobSystem;
/** The pairs of answers that the rounds of a scenario gave. */
let outcomes: Set<string>;
beforeAll(async () => {
  muster = await startRaces();
  naive = await createReadCheckWrite(muster.sql, muster.t.ctx.redis);
});

beforeEach(() => {
  outcomes = new Set();
});

const eitherFirst = (system: JobSystem, job: string, round: number, one: Verb, two: Verb) =>
  eitherOf({ system, job, round, outcomes }, one, two);

// nammayatri #6691: assigned twice from the dashboard, two rides on one booking; #9485: assigned to
// a driver while another one takes it.
describe('assign against accept', () => {
  async function scenario(system: JobSystem, rounds: number): Promise<string[]> {
    const found = violations();
    for (let round = 0; round < rounds; round++) {
      const job = await system.post();
      const [accepted, assigned] = await eitherFirst(
        system,
        job,
        round,
        () => system.accept(job, 'd1'),
        () => system.assign(job, 'd2'),
      );
      const { status, driverId, told } = await system.look(job);
      found.expect(accepted !== assigned, 'given to one and reserved for another');
      found.expect(driverId === (accepted ? 'd1' : 'd2'), 'the row is not what was answered');
      found.expect(
        status === (accepted ? 'accepted' : 'assigned') &&
          accepted === told.includes('customer driver_assigned'),
        'the customer was told otherwise',
      );
      const takenUp = await system.accept(job, 'd2');
      found.expect(takenUp === assigned, 'for whom it is reserved cannot take it');
    }
    return found.list;
  }

  it('Muster: the job goes to one of the two', async () => {
    expect(await scenario(muster, ROUNDS)).toEqual([]);
    expect(outcomes.size).toBe(2);
  });
  it('a naive version fails it', async () => {
    const found = await scenario(naive, NAIVE_ROUNDS);
    expect(found).toContain('given to one and reserved for another');
  });
});

// The same look before the write: what a driver declines is reserved for him in between.
describe('assign against decline', () => {
  /** Declines as `d1`; `meanwhile` happens after the job was looked at. */
  type Decline = (job: string, meanwhile: Verb) => Promise<void>;
  async function scenario(system: JobSystem, decline: Decline): Promise<string[]> {
    const found = violations();
    const job = await system.post();
    await decline(job, async () => {
      const assigned = await system.assign(job, 'd1');
      found.expect(assigned, 'an open job could not be assigned');
      return assigned;
    });
    const { status } = await system.look(job);
    found.expect(status === 'pending', 'reserved for a driver who declined it');
    found.expect(await system.accept(job, 'd2'), 'nobody else can take it');
    return found.list;
  }

  it('Muster: the job is open again for everybody else', async () => {
    const proxy = await startHoldingProxy(muster.t.databaseUrl);
    cleanups.push(() => proxy.close());
    const slow = await engineVia(muster.t, { databaseUrl: proxy.url });
    const found = await scenario(muster, async (job, meanwhile) => {
      proxy.hold('answers', ROWS_READ);
      const declined = slow.jobs.decline(job, 'd1', null);
      await until(() => proxy.holding);
      await meanwhile();
      proxy.release();
      expect(await declined).toEqual({ ok: true });
    });
    expect(found).toEqual([]);
  });
  it('a naive version fails it', async () => {
    const found = await scenario(naive, async (job, meanwhile) => {
      const { status } = await naive.look(job);
      await meanwhile();
      if (status === 'assigned') await naive.release(job, 'd1');
    });
    expect(found).toEqual(['reserved for a driver who declined it', 'nobody else can take it']);
  });
});

// uber-backend (Lucifer7355) keeps what a driver may do in each process: a suspension reaches the
// others when their copy ends. nammayatri #9485: the accept did not look at the driver again.
describe('suspend against accept', () => {
  async function scenario(system: JobSystem, driver: string): Promise<string[]> {
    const found = violations();
    const [before, during, after] = [await system.post(), await system.post(), await system.post()];
    found.expect(await system.accept(before, driver), 'an approved driver was refused');
    const [accepted] = await Promise.all([system.accept(during, driver), system.suspend(driver)]);
    const { driverId, status } = await system.look(during);
    found.expect((driverId === driver) === accepted, `answered, yet ${status}`);
    found.expect(accepted || (await system.accept(during, 'd2')), 'stuck with nobody');
    found.expect(!(await system.accept(after, driver)), 'a suspended driver won a job');
    found.expect(await system.accept(after, 'd2'), 'lost to others');
    return found.list;
  }

  it('Muster: who is suspended wins nothing any more, in any process', async () => {
    for (let round = 0; round < 20; round++) {
      await muster.t.driver(`s${round}`);
      expect(await scenario(muster, `s${round}`)).toEqual([]);
    }
  });
  it('a naive version fails it', async () => {
    expect(await scenario(naive, 's0')).toEqual(['a suspended driver won a job', 'lost to others']);
  });
});
