/**
 * Lets so many statements at the pool as it has connections; the others wait here, first come first
 * served. A server that takes no more connections (53300) is met by waiting as well: whoever was
 * refused goes first again, and for a while no more are let in than the server took.
 */
import { setTimeout as sleep } from 'node:timers/promises';

export interface Admission {
  /** Runs `work` when it may. Throws `PoolBusyError` when that takes too long. */
  run<T>(work: () => Promise<T>): Promise<T>;
  /** The most that ran at once since it was asked last. */
  takeHighest(): number;
  /** Does `work` as soon as nothing runs, and lets nobody in meanwhile. */
  whenQuiet(work: () => Promise<void>): void;
}

/** Nobody got a connection in time: nothing was sent. */
export class PoolBusyError extends Error {
  override name = 'PoolBusyError';
  readonly code = 'POOL_BUSY';
}

/** Below the time in which a call must be answered; who waits for longer is told to try again. */
const WAIT_MS = 5000;
/** After a refusal one more connection is tried this often, until all are allowed again. */
const GROW_MS = 1000;
/** Between two tries where the server takes none at all. */
const RETRY_MS = 100;

/** `isRefused`: the server has too many connections, and the statement was not begun. */
export function createAdmission(size: number, isRefused: (error: unknown) => boolean): Admission {
  const waiting: (() => void)[] = [];
  let limit = size;
  let running = 0;
  let highest = 0;
  let quietWork: (() => Promise<void>) | undefined;
  let closed = false;
  let growing: NodeJS.Timeout | undefined;

  function isFree(): boolean {
    return running < limit && !closed;
  }

  function admitNext(): void {
    if (running === 0 && quietWork) doQuietWork(quietWork);
    while (isFree()) {
      const next = waiting.shift();
      if (next === undefined) return;
      begin();
      next();
    }
  }

  function begin(): void {
    running++;
    highest = Math.max(highest, running);
  }

  function doQuietWork(work: () => Promise<void>): void {
    quietWork = undefined;
    closed = true;
    void work().finally(() => {
      closed = false;
      admitNext();
    });
  }

  function grow(): void {
    limit++;
    if (limit === size) {
      clearInterval(growing);
      growing = undefined;
    }
    admitNext();
  }

  function shrink(): void {
    limit = Math.max(1, Math.min(limit, running - 1));
    growing ??= limit < size ? setInterval(grow, GROW_MS).unref() : undefined;
  }

  function turn(deadline: number, first: boolean): Promise<void> | undefined {
    if (isFree()) {
      begin();
      return undefined;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => {
        waiting.splice(waiting.indexOf(admit), 1);
        reject(new PoolBusyError('Postgres: every connection of the pool was busy for too long'));
      },
      Math.max(0, deadline - performance.now()),
    );
    const admit = () => {
      clearTimeout(timer);
      resolve();
    };
    if (first) waiting.unshift(admit);
    else waiting.push(admit);
    return promise;
  }

  return {
    async run(work) {
      const deadline = performance.now() + WAIT_MS;
      for (let tries = 0; ; tries++) {
        await turn(deadline, tries > 0);
        try {
          return await work();
        } catch (error) {
          if (!isRefused(error) || performance.now() > deadline) throw error;
          shrink();
        } finally {
          running--;
          admitNext();
        }
        if (running === 0) await sleep(RETRY_MS);
      }
    },
    takeHighest() {
      const most = highest;
      highest = running;
      return most;
    },
    whenQuiet(work) {
      quietWork = work;
      if (!closed) admitNext();
    },
  };
}
