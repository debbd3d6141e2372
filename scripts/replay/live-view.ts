/** A run second by second: for the progress line only, never for the report. */
import type { Load } from './facts.ts';
import type { JobLife, Ledger, Tap } from './ledger.ts';
import { tapState } from './life.ts';
import { percentileOf } from './stats.ts';

export interface LiveSecond {
  /** In this second. */
  offered: number;
  achieved: number;
  errors: number;
  /** Of the jobs that reached their first socket in it; the slowest where they are few. */
  p99Ms: number | null;
  behindMs: number;
  /** Since the start. */
  jobs: number;
  won: number;
}

export class LiveView {
  readonly #ledger: Ledger;
  readonly #seen = new Set<JobLife>();
  #won = 0;
  #second = { offered: 0, achieved: 0, errors: 0, behindMs: 0, ms: [] as number[] };

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  due(): void {
    this.#second.offered += 1;
  }

  offered(life: JobLife): void {
    if (this.#seen.has(life)) return;
    this.#seen.add(life);
    const first = life.offers[0];
    if (first) this.#second.ms.push(first.atMs - life.dueMs);
  }

  posted(life: JobLife): void {
    if (life.postCode === null) this.#second.achieved += 1;
    else this.#second.errors += 1;
  }

  answered(tap: Tap): void {
    const state = tapState(tap);
    if (state === 'won') this.#won += 1;
    if (state === 'unanswered') this.#second.errors += 1;
  }

  load({ latestMs }: Load): void {
    this.#second.behindMs = Math.max(this.#second.behindMs, latestMs);
  }

  /** The second that has just passed; the next one begins. */
  take(): LiveSecond {
    const { ms, ...counted } = this.#second;
    this.#second = { offered: 0, achieved: 0, errors: 0, behindMs: 0, ms: [] };
    const p99Ms = percentileOf(Float64Array.from(ms).sort(), 99);
    return { ...counted, p99Ms, jobs: this.#ledger.jobs.length, won: this.#won };
  }
}
