/**
 * The engine of one process: its two stores, the verbs bound to them, and the work that goes on
 * after an answer was given. Made once by api and worker processes and by tests.
 */

import type { EngineContext, EngineMetrics, Logger, PushTasks } from './context.ts';
import { createDevices, type Devices } from './devices/devices.ts';
import type { Job, Progress } from './domain/job.ts';
import { forgetApproval } from './drivers/approval.ts';
import {
  type AvailabilityResult,
  changeDriver,
  knowDriver,
  setAvailability,
} from './drivers/profile.ts';
import { createTracker, type TrackedFix, type Tracker } from './drivers/track.ts';
import { listAvailable } from './jobs/available.ts';
import {
  type ChangeResult,
  cancelJob,
  confirmJob,
  progressJob,
  releaseJob,
} from './jobs/change.ts';
import { type Claims, createClaims } from './jobs/claim/claim.ts';
import { createCommitQueue } from './jobs/claim/commit.ts';
import { type PostInput, type PostResult, postJob } from './jobs/post.ts';
import { assignJob, declineJob } from './jobs/reserve.ts';
import { createNotifications, type Notifications } from './notifications/notifications.ts';
import { connectPg } from './pg/client.ts';
import type { DriverChange, DriverRow } from './pg/drivers.ts';
import type { Actor } from './pg/jobs.ts';
import { isCurrentSchema } from './pg/migrate.ts';
import type { DispatchConfig } from './process/config.ts';
import { ensureDrivers } from './projection/zones.ts';
import { createDeliveries, type Deliveries } from './pushes/deliveries.ts';
import { createPushes, type Pushes } from './pushes/pushes.ts';
import { connectRedis, whenReady } from './redis/client.ts';
import type { KnownDriver } from './redis/drivers.ts';

export { type Logger, type PushTasks, withDeadline } from './context.ts';
export type { Devices } from './devices/devices.ts';
export type { NotificationRow, Notifications } from './notifications/notifications.ts';
export type { WavePhone } from './pg/waves.ts';
export type { Deliveries } from './pushes/deliveries.ts';
export type { Offer } from './pushes/offers.ts';
export { onceDecided, reservedDriver } from './pushes/offers.ts';
export type { Pushes } from './pushes/pushes.ts';
export type { PushRecord, RecordedAttempt } from './pushes/record.ts';

export interface EngineOptions {
  databaseUrl: string;
  redisUrl: string;
  settings: DispatchConfig;
  push: PushTasks;
  metrics: EngineMetrics;
  log: Logger;
  now?: () => number;
  /** Hears where drivers are, as far as this process took it in. */
  onTracked?: (fixes: readonly TrackedFix[]) => void;
}

export interface Engine {
  ctx: EngineContext;
  post(input: PostInput): Promise<PostResult>;
  claim: Claims;
  confirm(id: string, actor: Actor): Promise<ChangeResult>;
  progress(id: string, driverId: string, status: Progress): Promise<ChangeResult>;
  release(id: string, driverId: string, reason: string | null): Promise<ChangeResult>;
  cancel(id: string, actor: Actor, reason: string | null): Promise<ChangeResult>;
  assign(id: string, driverId: string, actor: Actor): Promise<ChangeResult>;
  decline(id: string, driverId: string, reason: string | null): Promise<{ ok: boolean }>;
  available(driver: KnownDriver): Promise<Job[]>;
  knowDriver(id: string): Promise<KnownDriver | null>;
  changeDriver(id: string, change: DriverChange): Promise<DriverRow>;
  setAvailability(id: string, online: boolean): Promise<AvailabilityResult>;
  tracker: Tracker;
  notifications: Notifications;
  devices: Devices;
  pushes: Pushes;
  deliveries: Deliveries;
  /** Epoch ms. */
  now: () => number;
  log: Logger;
  /** Waits for the work after the answers, then closes the stores. */
  close(): Promise<void>;
}

/** An older schema; the message is one line for the person who starts the process. */
export class OldSchemaError extends Error {
  override name = 'OldSchemaError';
}

/** How long a start waits for Redis before it says that it cannot be reached. */
const REDIS_START_MS = 10_000;
/** How long `close` waits for settling and dispatching; the reconciler does the rest. */
const DRAIN_MS = 5000;
/** A lost connection fails many times a second; one line a second is enough to see it. */
const OUTAGE_LOG_MS = 1000;

/** Connects both stores. Throws `OldSchemaError`, or what a store says that cannot be reached. */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const { settings, push, metrics, log, now = Date.now } = options;
  const pg = connectPg(options.databaseUrl);
  const redis = connectRedis(options.redisUrl, onceEachOutage(log));
  const { background, drain } = createBackground(log);
  const ctx: EngineContext = { db: pg.db, redis, settings, push, metrics, log, background, now };
  try {
    if (!(await isCurrentSchema(pg.db))) {
      throw new OldSchemaError('the database has an older schema: run `npm run migrate` first');
    }
    await whenReady(redis, REDIS_START_MS);
    await ensureDrivers(ctx);
  } catch (error) {
    redis.disconnect();
    await pg.close();
    throw error;
  }
  const tracker = createTracker(ctx, options.onTracked ?? (() => {}));
  const deliveries = createDeliveries(ctx);
  return {
    ctx,
    tracker,
    notifications: createNotifications(ctx),
    devices: createDevices(ctx),
    pushes: createPushes(ctx),
    deliveries,
    now,
    log,
    post: (input) => postJob(ctx, input),
    claim: createClaims(ctx, createCommitQueue(ctx), background),
    confirm: (id, actor) => confirmJob(ctx, id, actor),
    progress: (id, driverId, status) => progressJob(ctx, id, driverId, status),
    release: (id, driverId, reason) => releaseJob(ctx, id, driverId, reason),
    cancel: (id, actor, reason) => cancelJob(ctx, id, actor, reason),
    assign: (id, driverId, actor) => assignJob(ctx, id, driverId, actor),
    decline: (id, driverId, reason) => declineJob(ctx, id, driverId, reason),
    available: (driver) => listAvailable(ctx, driver),
    knowDriver: (id) => knowDriver(ctx, id),
    async changeDriver(id, change) {
      const row = await changeDriver(ctx, id, change);
      forgetApproval(ctx, id);
      return row;
    },
    setAvailability: (id, online) => setAvailability(ctx, id, online),
    async close() {
      await tracker.close();
      await deliveries.close();
      await drain();
      redis.disconnect();
      await pg.close();
    },
  };
}

/** Work that nobody waits for: kept track of, so that a process that stops lets it finish. */
function createBackground(log: Logger) {
  const running = new Set<Promise<void>>();
  return {
    background(work: Promise<void>): void {
      const tracked = work
        .catch((error: unknown) => log.warn({ err: error }, 'background work failed'))
        .finally(() => running.delete(tracked));
      running.add(tracked);
    },
    async drain(): Promise<void> {
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

/** An error listener that writes one line per moment of an outage. */
export function onceEachOutage(log: Logger): (error: Error) => void {
  let last = 0;
  return (error) => {
    if (Date.now() - last < OUTAGE_LOG_MS) return;
    last = Date.now();
    log.warn({ err: error }, 'Redis connection lost, reconnecting');
  };
}
