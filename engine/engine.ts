/**
 * The engine of one process: its two stores and the systems over them. Nobody outside `engine/` touches a
 * store. Made once by api and worker processes and by tests.
 */
import { createBackground } from './background.ts';
import type { EngineContext, EngineMetrics, Logger, PushTasks, Resources } from './context.ts';

import { createDevices, type Devices } from './devices/devices.ts';
import { createDrivers, type Drivers } from './drivers/drivers.ts';
import type { TrackedFix } from './drivers/parts.ts';
import { type Health, startHealth } from './health.ts';
import { createCommitQueue } from './jobs/claim/commit.ts';
import { createJobs, type Jobs } from './jobs/jobs.ts';
import { createLogs, type Logs } from './logs/logs.ts';
import { createMaintenance, type Maintenance } from './maintenance/maintenance.ts';
import { createNotifications, type Notifications } from './notifications/notifications.ts';
import { onceEachOutage } from './outage-log.ts';
import { connectPg } from './pg/client.ts';
import type { DispatchConfig } from './process/config.ts';
import { createProjection } from './projection/projection.ts';
import { createSettler } from './projection/settler.ts';
import { createDeliveries, type Deliveries } from './pushes/deliveries.ts';
import { createPushes, type Pushes } from './pushes/pushes.ts';
import { reachStores, requirePermissions } from './reach.ts';
import { connectRedis, type RedisTarget } from './redis/client.ts';
import { createRedisClock } from './redis/clock.ts';
import { ENGINE_COMMANDS } from './redis/permissions.ts';
import { warnOfServer } from './redis/server-check.ts';
import { createUsers, type Users } from './users/blocked.ts';

export { type Logger, type PushTasks, withDeadline } from './context.ts';
export type { Devices } from './devices/devices.ts';
export type { TrackedFix } from './drivers/parts.ts';
export type { CheckState, Health, HealthState } from './health.ts';
export type { FeedListener, LogFeed } from './logs/logs.ts';
export type { ZoneFollower } from './logs/zone-log.ts';
export type { NotificationRow, Notifications } from './notifications/notifications.ts';
export { onceEachOutage } from './outage-log.ts';
export type { UserEvent } from './projection/tell.ts';
export type { Deliveries } from './pushes/deliveries.ts';
export type { Offer } from './pushes/offers.ts';
export { onceDecided, reservedDriver } from './pushes/offers.ts';
export type { Pushes, WavePhone } from './pushes/pushes.ts';
export { requirePermissions } from './reach.ts';
export { connectConsumer, connectProducer, type RedisTarget } from './redis/client.ts';
export type { Fix, KnownDriver } from './redis/drivers.ts';
export type { OfferedJob, ZoneEvent } from './redis/open-jobs.ts';
export type { Users } from './users/blocked.ts';

export interface EngineOptions {
  databaseUrl: string;
  /** Connections to Postgres at most; 20 unless it is given. */
  databasePoolSize?: number;
  redisUrl: RedisTarget;
  settings: DispatchConfig;
  push: PushTasks;
  metrics: EngineMetrics;
  log: Logger;
  /** A clock of this process that never jumps, ms; only differences count. */
  elapsed?: () => number;
  /** Where the channels are heard, if not at `redisUrl`: tests put a faulty network between. */
  subscriberUrl?: RedisTarget;
  /** Hears where drivers are, as far as this process took it in. */
  onTracked?: (fixes: readonly TrackedFix[]) => void;
}

export interface Engine {
  ctx: EngineContext;
  jobs: Jobs;
  maintenance: Maintenance;
  drivers: Drivers;
  logs: Logs;
  settings: DispatchConfig;
  notifications: Notifications;
  devices: Devices;
  pushes: Pushes;
  deliveries: Deliveries;
  health: Health;
  users: Users;
  /** Epoch ms by the clock of Redis. */
  now: () => number;
  log: Logger;
  /** Waits for the work after the answers, then closes the stores. */
  close(): Promise<void>;
}

/** Waits for both stores and connects them. Throws `StartError`, one line that says why it cannot. */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const { settings, push, metrics, log, elapsed = () => performance.now() } = options;
  const pg = connectPg(options.databaseUrl, options.databasePoolSize);
  const redis = connectRedis(options.redisUrl, onceEachOutage(log));
  const background = createBackground(log);
  const clock = createRedisClock(redis, elapsed);
  const { now } = clock;
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
  const onTracked = options.onTracked ?? (() => {});
  const drivers = createDrivers({ ...resources, elapsed, onTracked });
  const projection = createProjection(resources);
  const commits = createCommitQueue(resources);
  const settler = createSettler(resources, projection, () => commits.idle());
  const ctx: EngineContext = { ...resources, projection, settler, drivers };
  let health: Health;
  let users: Users;
  try {
    await reachStores(pg.db, redis, log);
    await requirePermissions(redis, 'muster:{canary}:', ENGINE_COMMANDS);
    for (const warning of await warnOfServer(redis)) log.warn({}, warning);
    await clock.measure();
    await drivers.ensure();
    health = await startHealth({ db: pg.db, redis, log });
    users = await createUsers(ctx);
  } catch (error) {
    clock.close();
    redis.disconnect();
    await pg.close();
    throw error;
  }
  const deliveries = createDeliveries(ctx);
  return {
    ctx,
    drivers,
    settings,
    jobs: createJobs(ctx, commits),
    maintenance: createMaintenance(ctx, options.databaseUrl),
    logs: createLogs(ctx, options.subscriberUrl ?? options.redisUrl),
    notifications: createNotifications(ctx),
    devices: createDevices(ctx),
    pushes: createPushes(ctx),
    deliveries,
    health,
    users,
    now,
    log,
    async close() {
      health.close();
      await drivers.close();
      await deliveries.close();
      background.add(settler.idle());
      await background.drain();
      clock.close();
      redis.disconnect();
      await pg.close();
    },
  };
}
