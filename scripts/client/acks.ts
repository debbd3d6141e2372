/**
 * The frames of one connection that wait for their `ack`. Every wait ends: by the answer, its
 * deadline or the loss of the connection; the latter two say nothing about what the server did.
 */
import type { Ack } from './protocol.ts';

/** An app has a handful at most; more means that nobody reads the answers. */
const WAITING_MAX = 256;

export class Acks {
  readonly #waiting = new Map<string, (ack: Ack | null) => void>();
  #last = 0;

  /**
   * A new `ref` and the promise of its answer, null if none comes; undefined when too many wait.
   */
  expect(timeoutMs: number): { ref: string; answer: Promise<Ack | null> } | undefined {
    if (this.#waiting.size >= WAITING_MAX) return undefined;
    this.#last += 1;
    const ref = String(this.#last);
    const answer = new Promise<Ack | null>((resolve) => {
      const timer = setTimeout(() => this.#end(ref, null), timeoutMs);
      this.#waiting.set(ref, (ack) => {
        clearTimeout(timer);
        resolve(ack);
      });
    });
    return { ref, answer };
  }

  settle(ack: Ack): void {
    this.#end(ack.ref, ack);
  }

  /** The connection is gone, and with it every pending answer. */
  dropAll(): void {
    for (const ref of [...this.#waiting.keys()]) this.#end(ref, null);
  }

  #end(ref: string, ack: Ack | null): void {
    const resolve = this.#waiting.get(ref);
    this.#waiting.delete(ref);
    resolve?.(ack);
  }
}
