/**
 * The engine of one process: its two stores and the systems over them. Nobody outside `engine/` touches a
 * store. Made once by api and worker processes and by tests.
 */
import { createBackground } from './background.ts';
import type { EngineContext, EngineMetrics, Logger, PushTasks, Resources } from './context.ts';

import { createDevices, type Devices } from './devices/devices.ts';
import { forgetApproval } from './drivers/approval.ts';
import { ensureDrivers } from './drivers/ensure.ts';
import {
  type AvailabilityResult,
  changeDriver,
  knowDriver,
  setAvailability,
} from './drivers/profile.ts';
import { createTracker, type TrackedFix, type Tracker } from './drivers/track.ts';
import { type Counters, createCounters } from './history/counters.ts';
import { createCommitQueue } from './jobs/claim/commit.ts';
import { createJobs, type Jobs } from './jobs/jobs.ts';
import { createCursors } from './lists/cursors.ts';
import { createMaintenance, type Maintenance } from './maintenance/maintenance.ts';
import { createNotifications, type Notifications } from './notifications/notifications.ts';
import { createHealth } from './ops/health.ts';
import { createOps, type Ops } from './ops/ops.ts';
import { connectPg } from './pg/client.ts';
import type { DriverChange, DriverRow } from './pg/drivers.ts';
import { isCurrentSchema } from './pg/migrate.ts';
import { readSecret } from './pg/secrets.ts';
import type { DispatchConfig } from './process/config.ts';
import { createProjection } from './projection/projection.ts';
import { createSettler } from './projection/settler.ts';
import { createDeliveries, type Deliveries } from './pushes/deliveries.ts';
import { createPushes, type Pushes } from './pushes/pushes.ts';
import { connectRedis, whenReady } from './redis/client.ts';
import type { KnownDriver } from './redis/drivers.ts';
import { createUsers, type Users } from './users/blocked.ts';

export { type Logger, type PushTasks, withDeadline } from './context.ts';
export type { Devices } from './devices/devices.ts';
export type { NotificationRow, Notifications } from './notifications/notifications.ts';
export type { Deliveries } from './pushes/deliveries.ts';
export type { Offer } from './pushes/offers.ts';
export { onceDecided, reservedDriver } from './pushes/offers.ts';
export type { Pushes, WavePhone } from './pushes/pushes.ts';

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
  jobs: Jobs;
  maintenance: Maintenance;
  knowDriver(id: string): Promise<KnownDriver | null>;
  changeDriver(id: string, change: DriverChange): Promise<DriverRow>;
  setAvailability(id: string, online: boolean): Promise<AvailabilityResult>;
  tracker: Tracker;
  counters: Counters;
  ops: Ops;
  notifications: Notifications;
  devices: Devices;
  pushes: Pushes;
  deliveries: Deliveries;
  users: Users;
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
/** A lost connection fails many times a second; one line a second is enough to see it. */
const OUTAGE_LOG_MS = 1000;

/** Connects both stores. Throws `OldSchemaError`, or what a store says that cannot be reached. */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const { settings, push, metrics, log, now = Date.now } = options;
  const pg = connectPg(options.databaseUrl);
  const redis = connectRedis(options.redisUrl, onceEachOutage(log));
  const background = createBackground(log);
  const resources: Resources = {
    db: pg.db,
    redis,
    settings,
    push,
    metrics,
    log,
    background: background.add,
    now,
  };
  const projection = createProjection(resources);
  const commits = createCommitQueue(resources);
  const settler = createSettler(resources, projection, () => commits.idle());
  const ctx: EngineContext = { ...resources, projection, settler };
  let users: Users;
  let cursorKey: Buffer;
  try {
    if (!(await isCurrentSchema(pg.db))) {
      throw new OldSchemaError('the database has an older schema: run `npm run migrate` first');
    }
    await whenReady(redis, REDIS_START_MS);
    await ensureDrivers(ctx);
    users = await createUsers(ctx);
    cursorKey = await readSecret(pg.db, 'cursors');
  } catch (error) {
    redis.disconnect();
    await pg.close();
    throw error;
  }
  const cursors = createCursors(cursorKey);
  const counters = createCounters(ctx);
  const health = createHealth(ctx);
  const tracker = createTracker(ctx, options.onTracked ?? (() => {}));
  const deliveries = createDeliveries(ctx);
  return {
    ctx,
    tracker,
    counters,
    ops: createOps(ctx, { cursors, counters, health }),
    jobs: createJobs(ctx, { commits, cursors }),
    maintenance: createMaintenance(ctx, options.databaseUrl),
    notifications: createNotifications(ctx, cursors),
    devices: createDevices(ctx),
    pushes: createPushes(ctx),
    deliveries,
    users,
    now,
    log,
    knowDriver: (id) => knowDriver(ctx, id),
    async changeDriver(id, change) {
      const row = await changeDriver(ctx, id, change);
      forgetApproval(ctx, id);
      return row;
    },
    setAvailability: (id, online) => setAvailability(ctx, id, online),
    async close() {
      health.close();
      await tracker.close();
      await deliveries.close();
      background.add(settler.idle());
      await background.drain();
      redis.disconnect();
      await pg.close();
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
