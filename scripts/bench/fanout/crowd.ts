/** The crowd process from outside: one order at a time, answered in order. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { forkPart } from '../stack.ts';
import type { CrowdAnswer, CrowdOrder } from './crowd-main.ts';

type Delivered = Extract<CrowdAnswer, { answer: 'delivered' }>;
type Located = Extract<CrowdAnswer, { answer: 'located' }>;

export class Crowd {
  readonly #child: ChildProcess = forkPart('fanout/crowd-main.ts');
  #ended = false;

  constructor() {
    this.#child.once('exit', () => {
      this.#ended = true;
    });
  }

  /** Resolves when it is done. */
  async order(order: CrowdOrder): Promise<void> {
    const answer = this.#next();
    this.#child.send(order);
    await answer;
  }

  /** Tells all to expect this many events each, calls `send`, and resolves when everybody has them. */
  async delivery(crowd: string, each: number, send: () => void): Promise<Delivered> {
    await this.order({ order: 'expect', crowd, each });
    const answer = this.#next();
    send();
    return (await answer) as Delivered;
  }

  /** Everybody sends positions around one place for this long, each when the last is acknowledged. */
  async locate(
    crowd: string,
    forMs: number,
    around: { lat: number; lng: number },
  ): Promise<Located> {
    const answer = this.#next();
    this.#child.send({ order: 'locate', crowd, forMs, ...around } satisfies CrowdOrder);
    return (await answer) as Located;
  }

  stop(): void {
    this.#child.kill();
  }

  async #next(): Promise<CrowdAnswer> {
    if (this.#ended) throw new Error('the listening process has ended');
    const ended = new AbortController();
    try {
      return await Promise.race([
        once(this.#child, 'message', { signal: ended.signal }).then(([message]) => message),
        once(this.#child, 'exit', { signal: ended.signal }).then(() => {
          throw new Error('the listening process ended');
        }),
      ]);
    } finally {
      ended.abort();
    }
  }
}
