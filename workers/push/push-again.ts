/** What a task throws when some of its pushes are to be sent again later: why, and when. */
import type { Sent } from './sender.ts';

/** Apple throttles a single phone: it is left alone for longer, each time twice as long. */
const THROTTLED_FIRST_MS = 5000;
const FIRST_MS = 1000;
/** Reasons named in the message. */
const REASONS_MAX = 5;

export class PushAgain extends Error {
  override name = 'PushAgain';
  count = 0;
  /** The wait after the first failure, and at least after each. */
  firstMs = FIRST_MS;
  atLeastMs = 0;
  readonly #what: string;
  readonly #reasons = new Map<string, number>();

  constructor(what: string) {
    super(what);
    this.#what = what;
  }

  add(failed: readonly Sent[]): this {
    for (const { reason, outcome, retryAfterMs = 0 } of failed) {
      const why = reason ?? outcome;
      this.count++;
      this.#reasons.set(why, (this.#reasons.get(why) ?? 0) + 1);
      if (why === 'TooManyRequests') this.firstMs = THROTTLED_FIRST_MS;
      this.atLeastMs = Math.max(this.atLeastMs, retryAfterMs);
    }
    const told = [...this.#reasons].slice(0, REASONS_MAX);
    const list = told.map(([why, count]) => (count > 1 ? `${why} (${count})` : why));
    this.message = `${this.#what}: ${list.join(', ')}`;
    return this;
  }
}
