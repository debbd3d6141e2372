/**
 * Which driver taps which job. Real people look at one job at a time, think, tap or decline, and do
 * nothing else while they have a job to do; greedy ones tap whatever they see. Either way at most N
 * drivers tap a job at once, chosen by seeded chance. Jobs left open are swept at the end, so that every
 * job that reached a screen is taken. Listens to the ledger, commands the crowds.
 */
import { nowMs } from './clock.ts';
import type { Command } from './facts.ts';
import type { JobLife, Ledger, Tap } from './ledger.ts';
import { isRefusal } from './life.ts';
import { type Random, sample } from './random.ts';

export type PeopleKind = 'real' | 'greedy';

export interface PeopleOptions {
  kind: PeopleKind;
  /** How many drivers tap each job, at most. */
  taps: number;
  speed: number;
  random: Random;
  send(command: Exclude<Command, { do: 'storm' }>): void;
}

/** Long enough for the offer to reach all sockets, short for a person. */
const GATHER_MS = 80;
/** Greedy taps of one job are spread over this, so that they race without being one burst. */
const JITTER_MS = 20;
/** Real people look for 1.5 to 8 s of the trace, and never less than a glance. */
const THINK_MIN_TRACE_MS = 1500;
const THINK_SPREAD_TRACE_MS = 6500;
const GLANCE_MS = 40;
/** One look in twelve ends with a decline. */
const DECLINE_SHARE = 0.08;
/** A job is worked on for two to five minutes of the trace, and at least this long. */
const WORK_MIN_TRACE_MS = 120_000;
const WORK_SPREAD_TRACE_MS = 180_000;
const WORK_MIN_MS = 250;
/** Sweeps look again after this. */
const SWEEP_MS = 50;
/** Jobs that are swept at once: a sweep is no load test. */
const SWEEP_JOBS_MAX = 20;
/** Jobs that a sweep cannot get taken in this time stay open, and the report names them. */
const SWEEP_MAX_MS = 60_000;

export class People {
  readonly #options: PeopleOptions;
  #ledger: Ledger | undefined;
  #stopped = false;
  #sweeping = false;
  /** Jobs whose audience has been chosen or is about to be. */
  readonly #decided = new Set<JobLife>();
  /** Looks and taps of a job that are still on their way. */
  readonly #pending = new Map<JobLife, number>();
  /** Real drivers who are looking, tapping or working. */
  readonly #busy = new Set<number>();

  constructor(options: PeopleOptions) {
    this.#options = options;
  }

  /** The ledger tells people, so it comes second. */
  attach(ledger: Ledger): void {
    this.#ledger = ledger;
  }

  /** Nobody does anything after this. */
  stop(): void {
    this.#stopped = true;
  }

  offered(life: JobLife, driver: number): void {
    if (!this.#decided.has(life)) {
      this.#decided.add(life);
      this.#begin(life);
      setTimeout(() => this.#decide(life), GATHER_MS);
    } else if (!this.#pending.has(life)) this.#lookAround(driver);
  }

  answered(life: JobLife, tap: Tap): void {
    this.#end(life);
    if (!tap.ok) this.#free(tap.driver);
    else if (life.id !== null) {
      const forMs = this.#inTrace(WORK_MIN_TRACE_MS, WORK_SPREAD_TRACE_MS, WORK_MIN_MS);
      this.#options.send({ do: 'work', driver: tap.driver, id: life.id, forMs });
    }
  }

  worked(driver: number): void {
    this.#free(driver);
  }

  /** Taps what is still open until everything that reached a screen is taken, or time is up. */
  async sweep(): Promise<void> {
    const deadline = nowMs() + SWEEP_MAX_MS;
    this.#sweeping = true;
    while (!this.#stopped && nowMs() < deadline) {
      const open = (this.#ledger?.jobs ?? []).filter(isOpen);
      if (open.length === 0 && this.#pending.size === 0) return;
      for (const life of open) {
        if (this.#pending.has(life) || this.#pending.size >= SWEEP_JOBS_MAX) continue;
        for (const driver of this.#choose(seenBy(life))) this.#tapSoon(life, driver);
      }
      await new Promise((resolve) => setTimeout(resolve, SWEEP_MS));
    }
  }

  /** The offer is on the screens by now. */
  #decide(life: JobLife): void {
    const { kind } = this.#options;
    if (kind === 'greedy') {
      for (const driver of this.#choose([...life.holders])) this.#tapSoon(life, driver);
      // Nobody sees it any more: the next driver who is offered it decides anew.
      if (life.holders.size === 0) this.#decided.delete(life);
    }
    this.#end(life);
  }

  /** Idle drivers look at it; if there are none, the next who gets free or is offered it does. */
  #showAround(life: JobLife): void {
    const idle = [...life.holders].filter(
      (driver) => this.#isIdle(driver) && !life.declines.has(driver),
    );
    for (const driver of this.#choose(idle)) this.#look(life, driver);
  }

  #choose(drivers: readonly number[]): number[] {
    const sorted = [...drivers].sort((a, b) => a - b);
    return sample(sorted, this.#options.taps, this.#options.random);
  }

  /** Real people look around by themselves, until the sweep. */
  get #isLively(): boolean {
    return this.#options.kind === 'real' && !this.#stopped && !this.#sweeping;
  }

  #isIdle(driver: number): boolean {
    return !this.#busy.has(driver) && this.#ledger?.drivers[driver]?.free === true;
  }

  #look(life: JobLife, driver: number): void {
    this.#busy.add(driver);
    this.#begin(life);
    const forMs = this.#inTrace(THINK_MIN_TRACE_MS, THINK_SPREAD_TRACE_MS, GLANCE_MS);
    const dueMs = nowMs() + forMs;
    setTimeout(() => this.#makeUpHisMind(life, driver, dueMs), forMs);
  }

  #makeUpHisMind(life: JobLife, driver: number, dueMs: number): void {
    const wants = this.#options.random() >= DECLINE_SHARE;
    const sees = life.id !== null && life.holders.has(driver) && !this.#stopped;
    if (sees && wants) {
      this.#tap(life, driver, dueMs);
      return;
    }
    if (sees && life.id !== null) {
      life.declines.add(driver);
      this.#options.send({ do: 'decline', driver, id: life.id });
    }
    this.#end(life);
    this.#free(driver);
  }

  /** A greedy or a last tap: without thinking, at almost the same time as the others. */
  #tapSoon(life: JobLife, driver: number): void {
    this.#begin(life);
    const forMs = this.#options.random() * JITTER_MS;
    const dueMs = nowMs() + forMs;
    setTimeout(() => {
      if (life.id === null || this.#stopped) this.#end(life);
      else this.#tap(life, driver, dueMs);
    }, forMs);
  }

  #tap(life: JobLife, driver: number, dueMs: number): void {
    if (!this.#ledger || life.id === null) return;
    const tap = this.#ledger.tap(life, { driver, dueMs, swept: this.#sweeping });
    this.#options.send({ do: 'tap', dueMs, tap, driver, id: life.id });
  }

  #free(driver: number): void {
    this.#busy.delete(driver);
    this.#lookAround(driver);
  }

  /** A driver with nothing to do looks at a job in his feed that nobody else is looking at. */
  #lookAround(driver: number): void {
    if (!this.#isLively || !this.#isIdle(driver)) return;
    const held = this.#ledger?.drivers[driver]?.holds ?? [];
    for (const life of held) {
      if (this.#pending.has(life) || life.declines.has(driver)) continue;
      this.#look(life, driver);
      return;
    }
  }

  /** A time of the trace, at the speed of this run. */
  #inTrace(minMs: number, spreadMs: number, floorMs: number): number {
    const { speed, random } = this.#options;
    return Math.max(floorMs, (minMs + random() * spreadMs) / speed);
  }

  #begin(life: JobLife): void {
    this.#pending.set(life, (this.#pending.get(life) ?? 0) + 1);
  }

  #end(life: JobLife): void {
    const left = (this.#pending.get(life) ?? 1) - 1;
    if (left > 0) {
      this.#pending.set(life, left);
      return;
    }
    this.#pending.delete(life);
    if (this.#isLively && isOpen(life)) this.#showAround(life);
  }
}

function isOpen(life: JobLife): boolean {
  if (life.reached.size === 0 || life.id === null) return false;
  return !life.taps.some((tap) => tap.ok || isRefusal(tap.code));
}

/** The drivers who hold it; else those who were offered it: being offline or away does not bar an accept. */
function seenBy(life: JobLife): number[] {
  return [...(life.holders.size > 0 ? life.holders : life.reached)];
}
