/** How fast batches commit, from those that ended lately and those still under way. */

/** The weight of the newest batch: a slow Postgres, or its recovery, shows after two or three. */
const NEWEST_WEIGHT = 0.5;

export class Speed {
  #averageMs = 0;
  /** When each batch in flight began, by the monotonic clock; oldest first. */
  readonly #begun = new Set<{ at: number }>();

  get inFlight(): number {
    return this.#begun.size;
  }

  /** A batch is sent; call the returned function when it has ended, however it ended. */
  begin(): () => void {
    const batch = { at: performance.now() };
    this.#begun.add(batch);
    return () => {
      if (!this.#begun.delete(batch)) return;
      const took = performance.now() - batch.at;
      this.#averageMs += NEWEST_WEIGHT * (took - this.#averageMs);
    };
  }

  /** Batches in flight for longer than this. */
  olderThan(ms: number): number {
    const since = performance.now() - ms;
    let count = 0;
    for (const { at } of this.#begun) if (at < since) count++;
    return count;
  }

  /** How long a batch takes now: as long as the last ones, or longer if one is out for longer. */
  latencyMs(): number {
    const [oldest] = this.#begun;
    return Math.max(this.#averageMs, oldest ? performance.now() - oldest.at : 0);
  }

  /** How long a claim behind this many full rounds would take; 0 when nothing is under way. */
  expectedMs(roundsAhead: number): number {
    if (this.#begun.size === 0) return 0;
    return this.latencyMs() * (1 + roundsAhead);
  }
}
