/**
 * What every verb of the engine works with. Made once per process by `createEngine`; tests hand in
 * another clock or other settings.
 */

import type { Db } from './pg/client.ts';
import type { DispatchConfig } from './process/config.ts';
import type { RedisClient } from './redis/client.ts';

/** The part of a pino logger that the engine uses. */
export interface Logger {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

/** Where pushes are handed over; tasks hold ids, never device tokens. */
export interface PushTasks {
  /** Push a wave to its candidates. False when such a task waits or runs already. */
  enqueueWave(jobId: string, wave: number): Promise<boolean>;
  /**
   * Push notifications to their users; `about` is how operators see the task. How many were added:
   * those whose task waits or runs are not.
   */
  enqueueNotifications(notes: readonly { id: string; about?: string }[]): Promise<number>;
}

/** What the engine measures; the process that serves `/metrics` listens. */
export interface EngineMetrics {
  claim(outcome: string, seconds: number): void;
  claimBatch(size: number): void;
  dispatch(seconds: number, candidates: number): void;
  location(outcome: string): void;
  reconciled(kind: string): void;
  /** What the process has measured under this name, by whatever part of it; null: nothing ever. */
  read(name: string): Promise<Measure[] | null>;
}

/** One value of a metric. */
export interface Measure {
  labels: Readonly<Record<string, string | undefined>>;
  value: number;
}

export interface EngineContext {
  db: Db;
  redis: RedisClient;
  settings: DispatchConfig;
  push: PushTasks;
  metrics: EngineMetrics;
  log: Logger;
  /** Takes work that goes on after the answer; a process that stops lets it finish. */
  background: (work: Promise<void>) => void;
  /** Epoch ms. */
  now: () => number;
}

/**
 * Nothing is promised: the caller may try again. What he wanted may be done already (a job that is given
 * back without Redis); asked again, it is not done twice.
 */
export class TryAgainError extends Error {
  override name = 'TryAgainError';
  readonly retryAfterMs: number;

  constructor(reason: string, retryAfterMs = 200) {
    super(reason);
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Waits for `work`, but no longer than `ms`: then throws what `late` makes. The work itself goes
 * on; its late result is ignored.
 */
export function withDeadline<T>(work: Promise<T>, ms: number, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    // Timers come before sockets: after a busy moment the answer may be in, unread.
    const timer = setTimeout(() => setImmediate(() => reject(late())), ms);
    work.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
