import { expect, test } from 'vitest';
import { nowMs } from '../../../scripts/replay/clock.ts';
import type { Command } from '../../../scripts/replay/facts.ts';
import { type JobLife, Ledger } from '../../../scripts/replay/ledger.ts';
import { stateOf } from '../../../scripts/replay/life.ts';
import { People, type PeopleKind } from '../../../scripts/replay/people.ts';
import { seededRandom } from '../../../scripts/replay/random.ts';
import { until } from '../../support/until.ts';
import { PLACE } from './support/lives.ts';

const DRIVERS = 6;
const TAPS = 3;

/** A deployment of a few lines: the first tap wins, work takes a while. */
class World {
  readonly people: People;
  readonly ledger: Ledger;
  readonly working = new Map<number, string>();
  readonly tapping = new Map<number, number>();
  /** Drivers who tapped while they tapped or worked. */
  readonly overworked: number[] = [];
  readonly declined: string[] = [];
  readonly #winners = new Map<string, number>();

  constructor(kind: PeopleKind, speed: number) {
    const random = seededRandom(1);
    this.people = new People({ kind, taps: TAPS, speed, random, send: (made) => this.#do(made) });
    this.ledger = new Ledger(new Array(DRIVERS).fill('good'), {
      offered: (life, driver) => this.people.offered(life, driver),
      answered: (life, tap) => this.people.answered(life, tap),
      posted() {},
      worked: (driver) => this.people.worked(driver),
    });
    this.people.attach(this.ledger);
    for (const way of this.ledger.drivers) way.fix({ ...PLACE, atMs: nowMs(), free: true });
  }

  offer(name: string): JobLife {
    const life = this.ledger.begin({ name, ...PLACE, customer: 0, dueMs: nowMs() });
    for (let driver = 0; driver < DRIVERS; driver++) {
      const where = { job: life.number, id: name, driver, atMs: nowMs() };
      this.ledger.take({ is: 'offered', ...where });
    }
    return life;
  }

  #do(command: Command): void {
    if (command.do === 'decline') this.declined.push(command.id);
    if (command.do === 'work') {
      const { driver, id, forMs } = command;
      this.working.set(driver, id);
      setTimeout(() => {
        this.working.delete(driver);
        this.ledger.take({ is: 'worked', driver });
      }, forMs);
    }
    if (command.do === 'tap') this.#tap(command);
  }

  #tap({ driver, id, tap }: Extract<Command, { do: 'tap' }>): void {
    if (this.working.has(driver) || this.tapping.has(driver)) this.overworked.push(driver);
    this.tapping.set(driver, tap);
    setTimeout(() => {
      this.tapping.delete(driver);
      const ok = !this.#winners.has(id) || this.#winners.get(id) === driver;
      if (ok) this.#winners.set(id, driver);
      const times = { sentMs: nowMs(), atMs: nowMs() };
      const code = ok ? null : 'already_accepted';
      this.ledger.take({ is: 'answered', tap, ...times, ok, code });
      this.#clear(id);
    }, 5);
  }

  #clear(id: string): void {
    const life = this.ledger.jobs.find((job) => job.name === id);
    for (const driver of life?.holders ?? []) {
      this.ledger.take({ is: 'gone', job: life?.number ?? 0, driver, atMs: nowMs() });
    }
  }
}

test('real people do one thing at a time, and come back for what is left', async () => {
  const world = new World('real', 1000);
  const lives = Array.from({ length: 4 * DRIVERS }, (_, i) => world.offer(`job-${i}`));
  await until(() => lives.every((life) => stateOf(life) === 'taken'), { what: 'all are taken' });
  expect(world.overworked).toEqual([]);
  expect(Math.max(...lives.map((life) => life.taps.length))).toBeLessThanOrEqual(TAPS);
  expect(lives.flatMap(({ taps }) => taps).filter((tap) => tap.swept)).toEqual([]);
  // Who is about to decline may find the job taken by then.
  let more = 0;
  const offered = () => world.offer(`more-${more++}`) && world.declined.length > 0;
  await until(offered, { what: 'somebody declines' });
});

test('greedy people tap whatever they see, as many as are allowed', async () => {
  const world = new World('greedy', 60);
  const lives = Array.from({ length: 3 * DRIVERS }, (_, i) => world.offer(`job-${i}`));
  await until(() => lives.every((life) => stateOf(life) === 'taken'), { what: 'all are taken' });
  // The last taps of a job come when another has won it.
  const tapped = () => lives.every(({ taps }) => taps.length >= TAPS);
  await until(tapped, { what: 'all who chose a job have tapped' });
  expect(world.overworked.length).toBeGreaterThan(0);
  expect(lives.map(({ taps }) => taps.length)).toEqual(lives.map(() => TAPS));
});

test('what nobody had time for is swept at the end, and said to be', async () => {
  const world = new World('real', 1);
  const life = world.offer('late');
  await world.people.sweep();
  expect(stateOf(life)).toBe('taken');
  expect(life.taps.every((tap) => tap.swept)).toBe(true);
});
