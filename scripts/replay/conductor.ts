/**
 * The conductor of a run: hands out the trace, hears the facts, keeps the ledger and lets people
 * react. It knows nothing of reports; `run.ts` calls it step by step.
 */
import { randomBytes } from 'node:crypto';
import { type Arrival, Arrivals } from './arrivals.ts';
import { nowMs, play } from './clock.ts';
import { type Crowds, createCrowds, customersFor, processesFor } from './crowds.ts';
import type { Fact, Load } from './facts.ts';
import { type JobLife, Ledger } from './ledger.ts';
import { DEADLINE_MS } from './life.ts';
import { LiveView } from './live-view.ts';
import type { ReplayOptions } from './options.ts';
import { People } from './people.ts';
import { dealPhones } from './phones.ts';
import { type Random, seededRandom } from './random.ts';
import type { ReplayerReport, StormReport } from './report.ts';
import { hitBy } from './storm.ts';
import type { TraceEvent } from './trace.ts';

/** The play begins a moment after everything is prepared. */
const LEAD_MS = 200;
const LOOK_MS = 20;
/** How long to wait for posts that were sent just before a stop. */
const STOPPED_POSTS_MAX_MS = 2000;

interface BrokenSocket {
  storm: StormReport;
  driver: number;
  atMs: number;
}

export class Conductor {
  readonly run = `r${randomBytes(4).toString('hex')}`;
  readonly ledger: Ledger;
  readonly people: People;
  readonly crowds: Crowds;
  readonly random: Random;
  readonly live: LiveView;
  readonly customers: number;
  readonly storms: StormReport[] = [];
  readonly replayer: ReplayerReport;
  /** When the trace began, and when its last post was answered. */
  startMs = 0;
  endMs = 0;
  #playing = false;
  readonly #options: ReplayOptions;
  readonly #arrivals: Arrivals;
  readonly #numbers: ReadonlyMap<string, number>;
  readonly #broken: BrokenSocket[] = [];

  constructor(options: ReplayOptions) {
    const { survey, seed, speed, taps, urls, tokens, maxBehindMs } = options;
    this.#options = options;
    this.random = seededRandom(seed);
    this.#numbers = new Map(survey.drivers.map((name, i) => [name, i]));
    const phones = dealPhones(options.phones, survey.drivers.length, this.random);
    this.customers = customersFor(survey.jobs);
    const processes = options.processes ?? processesFor(survey, speed);
    this.replayer = noLoad(processes);
    this.people = new People({
      kind: options.people,
      taps,
      speed,
      random: this.random,
      send: (command) => this.crowds.send(command),
    });
    this.ledger = new Ledger(phones, {
      offered: (life, driver) => {
        this.live.offered(life);
        this.people.offered(life, driver);
      },
      answered: (life, tap) => {
        this.live.answered(tap);
        this.people.answered(life, tap);
      },
      posted: (life) => {
        this.live.posted(life);
        this.#arrivals.answered(life);
      },
      worked: (driver) => this.people.worked(driver),
    });
    this.people.attach(this.ledger);
    this.live = new LiveView(this.ledger);
    this.#arrivals = new Arrivals(options.arrivals, (arrival) => this.#post(arrival), nowMs);
    const { run, customers } = this;
    const common = { run, urls: [...urls], tokens, seed, maxBehindMs, phones, customers };
    this.crowds = createCrowds({ ...common, processes, tell: (fact) => this.#take(fact) });
  }

  /** Plays the trace to its end or to the signal, and waits for the answers to all posts. */
  async play(signal: AbortSignal): Promise<void> {
    const { source, speed } = this.#options;
    this.startMs = nowMs() + LEAD_MS;
    this.#playing = true;
    const timers = this.#options.storms.map((storm) =>
      setTimeout(() => this.#strike(storm), storm.atS * 1000 + LEAD_MS),
    );
    try {
      const take = (event: TraceEvent, dueMs: number): void => this.#due(event, dueMs);
      await play({ source, speed, startMs: this.startMs, take, signal });
      await this.#answered(signal);
      for (const load of await this.crowds.all((crowd) => crowd.load())) this.#note(load);
    } finally {
      this.#playing = false;
      this.endMs = nowMs();
      for (const timer of timers) clearTimeout(timer);
    }
  }

  /** When the last broken socket of each storm was back. */
  stormReports(): StormReport[] {
    for (const { storm, driver, atMs } of this.#broken.splice(0)) {
      const backMs = this.ledger.drivers[driver]?.backMs(atMs) ?? null;
      if (backMs === null) continue;
      storm.back += 1;
      storm.last_back_ms = Math.max(storm.last_back_ms ?? 0, Math.round(backMs - atMs));
    }
    return this.storms;
  }

  async #answered(signal: AbortSignal): Promise<void> {
    const open = (): boolean =>
      this.#arrivals.waiting > 0 || this.ledger.jobs.some((life) => life.answeredMs === null);
    let deadline = nowMs() + DEADLINE_MS + LOOK_MS;
    let waiting = this.#arrivals.waiting;
    while (open() && nowMs() < deadline) {
      if (signal.aborted) deadline = Math.min(deadline, nowMs() + STOPPED_POSTS_MAX_MS);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      // With closed arrivals the run goes on as long as one post follows another.
      if (!signal.aborted && this.#arrivals.waiting < waiting) deadline = nowMs() + DEADLINE_MS;
      waiting = this.#arrivals.waiting;
    }
  }

  #due(event: TraceEvent, dueMs: number): void {
    if (event.type === 'job') {
      this.live.due();
      this.#arrivals.due({ name: event.job, lat: event.lat, lng: event.lng, dueMs });
      return;
    }
    const driver = this.#numbers.get(event.driver);
    if (driver === undefined) return;
    const { lat, lng, free } = event;
    this.ledger.drivers[driver]?.fix({ lat, lng, free, atMs: dueMs });
    this.crowds.send({ do: 'fix', dueMs, driver, lat, lng, free });
  }

  #post({ name, lat, lng, dueMs }: Arrival): JobLife {
    const customer = this.ledger.jobs.length % this.customers;
    const life = this.ledger.begin({ name, lat, lng, customer, dueMs });
    this.crowds.send({ do: 'post', dueMs, job: life.number, customer, lat, lng });
    return life;
  }

  #take(fact: Fact): void {
    if (fact.is === 'load') this.#note(fact.load);
    else this.ledger.take(fact);
  }

  #note(load: Load): void {
    this.live.load(load);
    // Earlier and later facts are not part of the measurement.
    if (!this.#playing) return;
    const { replayer } = this;
    replayer.events += load.events;
    replayer.late += load.late;
    replayer.behind_max_ms = Math.max(replayer.behind_max_ms, Math.round(load.latestMs));
    const loop = Math.round(load.loopP99Ms);
    replayer.event_loop_p99_ms = Math.max(replayer.event_loop_p99_ms, loop);
    replayer.cpu = Math.max(replayer.cpu, Math.round(load.cpu * 100) / 100);
  }

  #strike({ atS, share, sync }: ReplayOptions['storms'][number]): void {
    const everybody = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
    const storm = { atS, share, sync };
    const drivers = hitBy(storm, everybody(this.ledger.drivers.length), this.random);
    const customers = hitBy(storm, everybody(this.customers), this.random);
    const cut = drivers.length + customers.length;
    const report = { at_s: atS, share, sync, cut, back: 0, last_back_ms: null };
    this.storms.push(report);
    const atMs = nowMs();
    this.#broken.push(...drivers.map((driver) => ({ storm: report, driver, atMs })));
    this.crowds.storm(drivers, customers, sync);
  }
}

function noLoad(processes: number): ReplayerReport {
  return { processes, events: 0, late: 0, behind_max_ms: 0, event_loop_p99_ms: 0, cpu: 0 };
}
