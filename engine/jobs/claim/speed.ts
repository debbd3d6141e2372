/**
 * How fast batches commit, from those that ended lately and those still under way. A batch that a younger one
 * has overtaken says something of its own connection, and nothing of the others: it does not count.
 */

/** The weight of the newest batch: a slow Postgres, or its recovery, shows after two or three. */
const NEWEST_WEIGHT = 0.5;

interface Batch {
  /** When it began, by the monotonic clock. */
  at: number;
  /** Its place in the order in which batches began. */
  nth: number;
}

export class Speed {
  #averageMs = 0;
  #count = 0;
  /** The youngest batch that the server has answered: those before it are overtaken. */
  #answered = 0;
  /** In flight, oldest first. */
  readonly #begun = new Set<Batch>();

  get inFlight(): number {
    return this.#begun.size;
  }

  /**
   * A batch is sent; call the returned function when it has ended, and say whether the server answered: one
   * that was lost says nothing of how the others do.
   */
  begin(): (answered: boolean) => void {
    const batch = { at: performance.now(), nth: ++this.#count };
    this.#begun.add(batch);
    return (answered) => {
      if (!this.#begun.delete(batch) || this.#isOvertaken(batch)) return;
      if (answered) this.#answered = batch.nth;
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
    const oldest = this.#oldest();
    return Math.max(this.#averageMs, oldest ? performance.now() - oldest.at : 0);
  }

  /** How long a claim behind this many full rounds would take; 0 when nothing that counts is under way. */
  expectedMs(roundsAhead: number): number {
    return this.#oldest() ? this.latencyMs() * (1 + roundsAhead) : 0;
  }

  /** The oldest in flight that counts. */
  #oldest(): Batch | undefined {
    for (const batch of this.#begun) if (!this.#isOvertaken(batch)) return batch;
    return undefined;
  }

  #isOvertaken(batch: Batch): boolean {
    return batch.nth < this.#answered;
  }
}
