/** Work that nobody waits for: kept track of, so that a process that stops lets it finish. */
import type { Logger } from './context.ts';

/** How long a stop waits for it; maintenance does the rest. */
const DRAIN_MS = 5000;

export interface Background {
  /** Takes work whose failure is only logged. */
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
      // What is running may leave more behind.
      while (running.size > 0 && !late) await Promise.race([Promise.all(running), timeout]);
    },
  };
}
