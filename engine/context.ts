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
  /** Pushes a wave to its candidates. False when a task for it waits or runs already. */
  enqueueWave(jobId: string, wave: number): Promise<boolean>;
  /**
   * Pushes notifications to their users; `about` is how operators see the task. Returns how many were
   * added: none whose task waits or runs already.
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
  /** What any part of the process has measured under this name; null: nothing yet. */
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
  /** Takes on work that goes on after the answer; a stopping process lets it finish. */
  background: (work: Promise<unknown>) => void;
  /** Epoch ms by the clock of Redis: comparable with everything stamped there. */
  now: () => number;
}

export interface EngineContext extends Resources {
  projection: Projection;
  settler: Settler;
  drivers: Drivers;
}
