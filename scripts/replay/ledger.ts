/**
 * The ledger: one record of each job's life as the phones saw it, and of each driver's way. Every
 * count, time, chart and invariant of a report is a function of these records and of nothing else,
 * so that they cannot contradict each other. Written by the facts of the crowds; times are
 * `nowMs()`.
 */

import { DriverWay } from './driver-way.ts';
import type { Fact, PhoneKind } from './facts.ts';
import type { JobTruth } from './truth.ts';

export interface Offer {
  driver: number;
  atMs: number;
}

export interface Tap {
  driver: number;
  /** The moment at which the driver decided to tap. */
  dueMs: number;
  /** When it left the phone; null until it is answered. */
  sentMs: number | null;
  answeredMs: number | null;
  ok: boolean;
  /** The refusal; `no_answer` and `try_again` promise nothing. */
  code: string | null;
  /** Made after the trace was over, so that what was left gets taken: not part of the measurement. */
  swept: boolean;
}

export interface JobLife {
  number: number;
  /** Its name in the trace. */
  name: string;
  lat: number;
  lng: number;
  customer: number;
  /** Its moment in the trace, from which everything counts. */
  dueMs: number;
  sentMs: number | null;
  /** When the post was answered, whatever the answer. */
  answeredMs: number | null;
  /** The refusal of the post. */
  postCode: string | null;
  /** Known from the answer or from the first offer. */
  id: string | null;
  /** In the order in which they arrived; each driver once. */
  offers: Offer[];
  reached: Set<number>;
  /** Connected drivers who have it in their feed now. */
  holders: Set<number>;
  taps: Tap[];
  declines: Set<number>;
  /** When it left the last feed of a driver on a good line. */
  lastGoneMs: number | null;
  toldMs: number | null;
  /** Since when the customer's socket had been live when it was told. */
  toldSinceMs: number | null;
  /** What the API and Postgres say of it afterwards. */
  truth: JobTruth | undefined;
}

/** The events that the people of the replay react to. */
export interface LedgerListener {
  offered(life: JobLife, driver: number): void;
  answered(life: JobLife, tap: Tap): void;
  posted(life: JobLife): void;
  worked(driver: number): void;
}

export class Ledger {
  readonly jobs: JobLife[] = [];
  readonly drivers: DriverWay[];
  readonly #listener: LedgerListener;
  readonly #byId = new Map<string, JobLife>();
  readonly #taps: { life: JobLife; tap: Tap }[] = [];
  /** News of a job whose id is not known yet. */
  readonly #early = new Map<string, Extract<Fact, { is: 'told' }>>();

  constructor(phones: readonly PhoneKind[], listener: LedgerListener) {
    this.drivers = phones.map((kind, number) => new DriverWay(number, kind));
    this.#listener = listener;
  }

  /** A job is due; it has not been sent yet. */
  begin(job: { name: string; lat: number; lng: number; customer: number; dueMs: number }): JobLife {
    const life: JobLife = {
      number: this.jobs.length,
      ...job,
      sentMs: null,
      answeredMs: null,
      postCode: null,
      id: null,
      offers: [],
      reached: new Set(),
      holders: new Set(),
      taps: [],
      declines: new Set(),
      lastGoneMs: null,
      toldMs: null,
      toldSinceMs: null,
      truth: undefined,
    };
    this.jobs.push(life);
    return life;
  }

  /** A driver decides to tap; the number names the tap in the answer. */
  tap(life: JobLife, { driver, dueMs, swept }: Pick<Tap, 'driver' | 'dueMs' | 'swept'>): number {
    const tap = { driver, dueMs, swept, sentMs: null, answeredMs: null, ok: false, code: null };
    life.taps.push(tap);
    this.#taps.push({ life, tap });
    return this.#taps.length - 1;
  }

  take(fact: Exclude<Fact, { is: 'load' }>): void {
    if (fact.is === 'answered') this.#answered(fact);
    else if (fact.is === 'told') this.#told(fact);
    else if (fact.is === 'worked') this.#listener.worked(fact.driver);
    else if (fact.is === 'online') this.drivers[fact.driver]?.online(fact.atMs);
    else if (fact.is === 'up') this.drivers[fact.driver]?.up(fact.atMs);
    else if (fact.is === 'down') this.drivers[fact.driver]?.down(fact.atMs);
    else this.#ofJob(fact);
  }

  #ofJob(fact: Extract<Fact, { job: number }>): void {
    const life = this.jobs[fact.job];
    if (!life) return;
    if (fact.is === 'sent') life.sentMs = fact.atMs;
    else if (fact.is === 'posted') {
      life.answeredMs = fact.atMs;
      life.postCode = fact.code;
      if (fact.id !== null) this.#name(life, fact.id);
      this.#listener.posted(life);
    } else if (fact.is === 'offered') this.#offered(life, fact);
    else this.#gone(life, fact);
  }

  #offered(life: JobLife, fact: Extract<Fact, { is: 'offered' }>): void {
    const { driver, atMs } = fact;
    this.#name(life, fact.id);
    life.holders.add(driver);
    this.drivers[driver]?.holds.add(life);
    if (!life.reached.has(driver)) {
      life.reached.add(driver);
      life.offers.push({ driver, atMs });
    }
    this.#listener.offered(life, driver);
  }

  #gone(life: JobLife, { driver, atMs }: Extract<Fact, { is: 'gone' }>): void {
    const way = this.drivers[driver];
    way?.holds.delete(life);
    if (!life.holders.delete(driver) || way?.kind !== 'good') return;
    life.lastGoneMs = Math.max(life.lastGoneMs ?? 0, atMs);
  }

  #answered({ tap: number, sentMs, atMs, ok, code }: Extract<Fact, { is: 'answered' }>): void {
    const found = this.#taps[number];
    if (!found) return;
    const { life, tap } = found;
    Object.assign(tap, { sentMs, answeredMs: atMs, ok, code });
    if (ok) {
      life.holders.delete(tap.driver);
      this.drivers[tap.driver]?.holds.delete(life);
    }
    this.#listener.answered(life, tap);
  }

  #told(fact: Extract<Fact, { is: 'told' }>): void {
    const life = this.#byId.get(fact.id);
    if (!life) this.#early.set(fact.id, fact);
    else if (life.toldMs === null) {
      life.toldMs = fact.atMs;
      life.toldSinceMs = fact.sinceMs;
    }
  }

  #name(life: JobLife, id: string): void {
    if (life.id !== null) return;
    life.id = id;
    this.#byId.set(id, life);
    const early = this.#early.get(id);
    if (early) this.#told(early);
    this.#early.delete(id);
  }
}
