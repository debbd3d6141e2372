/**
 * Two verbs on one job at the same moment: exactly one order of events, told alike by the answers,
 * by the row, by the projection and by what people were told. Each scenario runs on Muster and on
 * a system that reads, checks and writes, where it must find the bug.
 */
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type JobSystem, type Races, startRaces } from './support/muster.ts';
import { createReadCheckWrite } from './support/read-check-write.ts';
import { eitherFirst as eitherOf, type Verb, violations } from './support/steps.ts';

const ROUNDS = 30;
const NAIVE_ROUNDS = 2;

let muster: Races;
let expiring: Races;
let naive: JobSystem;
/** The pairs of answers that the rounds of a scenario gave. */
let outcomes: Set<string>;
beforeAll(async () => {
  muster = await startRaces();
  expiring = await startRaces({}, { expiring: true });
  naive = await createReadCheckWrite(muster.sql, muster.t.ctx.redis);
});

beforeEach(() => {
  outcomes = new Set();
});

const eitherFirst = (system: JobSystem, job: string, round: number, one: Verb, two: Verb) =>
  eitherOf({ system, job, round, outcomes }, one, two);

// RideFlow-AI: the ride's row is updated without a guard on its status, so that a cancelled ride can
// still be given a driver; nammayatri #9930: cancelled rides still get driver calls.
describe('cancel against accept', () => {
  async function scenario(system: JobSystem, rounds: number): Promise<string[]> {
    const found = violations();
    for (let round = 0; round < rounds; round++) {
      const job = await system.post();
      const [accepted, cancelled] = await eitherFirst(
        system,
        job,
        round,
        () => system.accept(job, 'd1'),
        () => system.cancel(job),
      );
      const { status, open, told } = await system.look(job);
      found.expect(cancelled, 'the cancel was refused');
      found.expect(status === 'cancelled', `cancelled for the customer, yet ${status}`);
      found.expect(!open, 'cancelled, yet offered');
      found.expect(
        accepted === told.includes('d1 job_cancelled'),
        accepted ? 'the driver who won was not told' : 'a driver who never won was told',
      );
      found.expect(
        accepted === told.includes('customer driver_assigned'),
        'what the customer was told is not what the driver was told',
      );
    }
    return found.list;
  }

  it('Muster: the row decides, and everybody is told what it says', async () => {
    expect(await scenario(muster, ROUNDS)).toEqual([]);
    expect(outcomes.size).toBe(2);
  });
  it('a naive version fails it', async () => {
    expect(await scenario(naive, NAIVE_ROUNDS)).toEqual([
      'the driver who won was not told',
      'cancelled for the customer, yet accepted',
    ]);
  });
});

// ride-hailing-dispatch-system (HomelessCoder): the timeout handler looks outside the lock, then
// resets the ride: an accept in between leaves a ride that is Requested and has a driver, and then
// refuses everyone.
describe('timeout against accept', () => {
  async function scenario(system: JobSystem, rounds: number): Promise<string[]> {
    const found = violations();
    for (let round = 0; round < rounds; round++) {
      const job = await system.post();
      const [accepted, expired] = await eitherFirst(
        system,
        job,
        round,
        () => system.accept(job, 'd1'),
        () => system.expire(job),
      );
      const { status, driverId, open, told } = await system.look(job);
      found.expect(accepted !== expired, 'accepted and expired');
      found.expect(status === (accepted ? 'accepted' : 'expired'), `answered, yet ${status}`);
      found.expect((driverId === 'd1') === accepted, 'the winner has nothing');
      found.expect(!open, 'over, yet offered');
      const news = accepted ? 'customer driver_assigned' : 'customer job_expired';
      found.expect(told.join() === news, `the customer was told ${told.join(' and ')}`);
    }
    return found.list;
  }

  it('Muster: exactly one of the two happens', async () => {
    // On a busy machine a short time is over before the first tap: then the job gets more of it.
    for (; outcomes.size < 2 && expiring.expiryMs < 5000; expiring.expiryMs *= 2) {
      expect(await scenario(expiring, 14)).toEqual([]);
    }
    expect(outcomes.size).toBe(2);
  });
  it('a naive version fails it', async () => {
    const found = await scenario(naive, NAIVE_ROUNDS);
    expect(found).toContain('accepted and expired');
    expect(found).toContain('the winner has nothing');
  });
});

// nammayatri #2998, #15047, #12315, #12369: a driver who gives a ride back races the customer who
// cancels it; locks were added in 2023 and again in 2026.
describe('release against cancel', () => {
  async function scenario(system: JobSystem, rounds: number): Promise<string[]> {
    const found = violations();
    for (let round = 0; round < rounds; round++) {
      const job = await system.post();
      await system.accept(job, 'd1');
      const [released, cancelled] = await eitherFirst(
        system,
        job,
        round,
        () => system.release(job, 'd1'),
        () => system.cancel(job),
      );
      const { status, open, told } = await system.look(job);
      found.expect(
        cancelled && status === 'cancelled',
        `cancelled for the customer, yet ${status}`,
      );
      found.expect(!open, 'cancelled, yet offered');
      found.expect(
        released !== told.includes('d1 job_cancelled'),
        released ? 'told of the cancel who had given it back' : 'the driver was not told',
      );
      found.expect(
        released === told.includes('customer job_released'),
        'the customer was not told of the release',
      );
    }
    return found.list;
  }

  it('Muster: the job ends cancelled, and only who holds it is told', async () => {
    expect(await scenario(muster, ROUNDS)).toEqual([]);
    expect(outcomes.size).toBe(2);
  });
  it('a naive version fails it', async () => {
    const found = await scenario(naive, NAIVE_ROUNDS);
    expect(found).toContain('cancelled for the customer, yet pending');
    expect(found).toContain('cancelled, yet offered');
  });
});
