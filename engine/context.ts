/**
 * What the systems of the engine work with. `Resources` are what a process brings; `EngineContext` adds the
 * systems that verbs need. Both are made once by `createEngine`, and stay inside the engine.
 */
import type { Drivers } from './drivers/drivers.ts';
import type { Db } from './pg/client.ts';
import type { DispatchConfig } from './process/config.ts';
import type { Projection } from './projection/projection.ts';
import type { Settler } from './projection/settler.ts';
import type { RedisClient } from './redis/client.ts';

export { TryAgainError } from './domain/try-again.ts';
export { withDeadline } from './process/deadline.ts';

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
  enqueueNotifications(notifications: readonly { id: string; about?: string }[]): Promise<number>;
}

/** What the engine measures; the process that serves `/metrics` listens. */
export interface EngineMetrics {
  claim(outcome: string, seconds: number): void;
  claimBatch(size: number): void;
  dispatch(seconds: number, candidates: number): void;
  location(outcome: string): void;
  reconciled(kind: string, count?: number): void;
  /** What the process has measured under this name, by whatever part of it; null: nothing ever. */
  read(name: string): Promise<Measure[] | null>;
}

/** One value of a metric. */
export interface Measure {
  labels: Readonly<Record<string, string | undefined>>;
  value: number;
}

export interface Resources {
  db: Db;
  redis: RedisClient;
  settings: DispatchConfig;
  push: PushTasks;
  metrics: EngineMetrics;
  log: Logger;
  /** Takes work that goes on after the answer; a process that stops lets it finish. */
  background: (work: Promise<unknown>) => void;
  /** Epoch ms by the clock of Redis: whatever was stamped there may be compared with it. */
  now: () => number;
}

export interface EngineContext extends Resources {
  projection: Projection;
  settler: Settler;
  drivers: Drivers;
}
