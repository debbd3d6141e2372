/** Work that nobody awaits, tracked so that a stopping process lets it finish. */
import type { Logger } from './context.ts';

/** How long a stop waits for this work; maintenance does the rest. */
const DRAIN_MS = 5000;

export interface Background {
  /** Takes on work; if it fails, that is only logged. */
  add(work: Promise<unknown>): void;
  /** Waits until nothing is left, within a limit. */
  drain(): Promise<void>;
}

export function createBackground(log: Logger): Background {
  const running = new Set<Promise<unknown>>();
  return {
    add(work) {
      const tracked = work
        .catch((error: unknown) => log.warn({ err: error }, 'background work failed'))
        .finally(() => running.delete(tracked));
      running.add(tracked);
    },
    async drain() {
      let late = false;
      const timeout = new Promise<void>((resolve) => {
        setTimeout(resolve, DRAIN_MS).unref();
      }).then(() => {
        late = true;
      });
      // Running work may add more.
      while (running.size > 0 && !late) await Promise.race([Promise.all(running), timeout]);
    },
  };
}
