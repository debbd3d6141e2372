/**
 * Admits as many statements as the pool has connections; the others wait here, first come first
 * served. When the server takes no more connections (53300), statements wait as well: a refused one
 * goes first again, and for a while no more are admitted than the server took.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { withDeadline } from '../process/deadline.ts';

export interface Admission {
  /** Runs `work` when it is admitted. Throws `PoolBusyError` when that takes too long. */
  run<T>(work: () => Promise<T>): Promise<T>;
  /** The most that ran at once since the last call. */
  takeHighest(): number;
  /** Does `work` as soon as nothing runs, and admits nothing meanwhile. */
  whenQuiet(work: () => Promise<void>): void;
}

/** No answer came in time: what became of the statement is not known. */
export class NoAnswerError extends Error {
  override name = 'NoAnswerError';
  readonly code = 'NO_ANSWER';
}

/** There was no connection in time: nothing was sent. */
export class PoolBusyError extends Error {
  override name = 'PoolBusyError';
  readonly code = 'POOL_BUSY';
}

/** Below the deadline of a call; one that waits longer is told to try again. */
const WAIT_MS = 5000;
/** After a refusal one more connection is tried this often, until all are allowed again. */
const GROW_MS = 1000;
/** Between two tries where the server takes none at all. */
const RETRY_MS = 100;

export interface AdmissionOptions {
  /** Statements that run at once. */
  size: number;
  /** The server has too many connections, and the statement was not begun. */
  isRefused: (error: unknown) => boolean;
  /** A statement that takes longer gets no answer any more. */
  answerMs: number;
  /** Called when it has taken that long. */
  onSilent: () => void;
}

export function createAdmission(options: AdmissionOptions): Admission {
  const { size, isRefused } = options;
  const turns = new Turns(size);
  return {
    async run(work) {
      const deadline = performance.now() + WAIT_MS;
      for (let tries = 0; ; tries++) {
        await turns.next(deadline, tries > 0);
        try {
          return await answered(work(), options);
        } catch (error) {
          if (!isRefused(error) || performance.now() > deadline) throw error;
          turns.shrink();
        } finally {
          turns.end();
        }
        if (turns.running === 0) await sleep(RETRY_MS);
      }
    },
    takeHighest: () => turns.takeHighest(),
    whenQuiet: (work) => turns.whenQuiet(work),
  };
}

/**
 * The driver may wait for an answer for good: over TLS, or where every server is away. Rejects with
 * `NoAnswerError` then; nobody hears what the driver says later.
 */
function answered<T>(work: Promise<T>, { answerMs, onSilent }: AdmissionOptions): Promise<T> {
  return withDeadline(work, answerMs, () => {
    onSilent();
    return new NoAnswerError('PostgreSQL does not answer');
  });
}

/** Which statements may begin, and which wait for a turn. */
class Turns {
  readonly #size: number;
  readonly #waiting: (() => void)[] = [];
  running = 0;
  #limit: number;
  #highest = 0;
  #quietWork: (() => Promise<void>) | undefined;
  #closed = false;
  #growing: NodeJS.Timeout | undefined;

  constructor(size: number) {
    this.#size = size;
    this.#limit = size;
  }

  /** Resolves when the caller may begin. `first`: before all others that wait. */
  next(deadline: number, first: boolean): Promise<void> | undefined {
    if (this.#isFree()) {
      this.#begin();
      return undefined;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const timer = setTimeout(
      () => {
        this.#waiting.splice(this.#waiting.indexOf(admit), 1);
        reject(new PoolBusyError('Postgres: every connection of the pool was busy for too long'));
      },
      Math.max(0, deadline - performance.now()),
    );
    const admit = () => {
      clearTimeout(timer);
      resolve();
    };
    if (first) this.#waiting.unshift(admit);
    else this.#waiting.push(admit);
    return promise;
  }

  end(): void {
    this.running--;
    this.#admit();
  }

  shrink(): void {
    this.#limit = Math.max(1, Math.min(this.#limit, this.running - 1));
    if (this.#limit === this.#size) return;
    this.#growing ??= setInterval(() => this.#grow(), GROW_MS).unref();
  }

  takeHighest(): number {
    const most = this.#highest;
    this.#highest = this.running;
    return most;
  }

  whenQuiet(work: () => Promise<void>): void {
    this.#quietWork = work;
    if (!this.#closed) this.#admit();
  }

  #isFree(): boolean {
    return this.running < this.#limit && !this.#closed;
  }

  #begin(): void {
    this.running++;
    this.#highest = Math.max(this.#highest, this.running);
  }

  #admit(): void {
    if (this.running === 0 && this.#quietWork) this.#doQuietWork(this.#quietWork);
    while (this.#isFree()) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#begin();
      next();
    }
  }

  #doQuietWork(work: () => Promise<void>): void {
    this.#quietWork = undefined;
    this.#closed = true;
    void work().finally(() => {
      this.#closed = false;
      this.#admit();
    });
  }

  #grow(): void {
    this.#limit++;
    if (this.#limit === this.#size) {
      clearInterval(this.#growing);
      this.#growing = undefined;
    }
    this.#admit();
  }
}
