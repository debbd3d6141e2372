/**
 * How jobs arrive: open, each at its moment in the trace however slow the answers are; or closed, the
 * next one when the last was answered. Closed arrivals hide a slow server: they are for comparison
 * with tools that can do nothing else.
 */
import type { JobLife } from './ledger.ts';

export interface Arrival {
  name: string;
  lat: number;
  lng: number;
  dueMs: number;
}

export class Arrivals {
  readonly #closed: boolean;
  readonly #post: (arrival: Arrival) => JobLife;
  readonly #queue: Arrival[] = [];
  readonly #now: () => number;
  #onWay: JobLife | undefined;

  constructor(kind: 'open' | 'closed', post: (arrival: Arrival) => JobLife, now: () => number) {
    this.#closed = kind === 'closed';
    this.#post = post;
    this.#now = now;
  }

  /** Jobs whose turn has not come yet. */
  get waiting(): number {
    return this.#queue.length;
  }

  due(arrival: Arrival): void {
    if (!this.#closed) {
      this.#post(arrival);
      return;
    }
    this.#queue.push(arrival);
    this.#next();
  }

  /** The post of this job was answered. */
  answered(life: JobLife): void {
    if (life !== this.#onWay) return;
    this.#onWay = undefined;
    this.#next();
  }

  #next(): void {
    const first = this.#onWay ? undefined : this.#queue.shift();
    if (first) this.#onWay = this.#post({ ...first, dueMs: Math.max(first.dueMs, this.#now()) });
  }
}
