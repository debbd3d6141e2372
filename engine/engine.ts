/**
 * The engine of one process: its two stores and the systems over them. Nobody outside `engine/` touches a
 * store. Made once by api and worker processes and by tests.
 */
import { createBackground } from './background.ts';
import type { EngineContext, EngineMetrics, Logger, PushTasks, Resources } from './context.ts';
import { createDevices, type Devices } from './devices/devices.ts';
import { createDrivers, type Drivers } from './drivers/drivers.ts';
import type { TrackedFix } from './drivers/parts.ts';
import { createFleet, type Fleet } from './fleet/fleet.ts';
import { type Health, startHealth } from './health.ts';
import { type Counters, createCounters } from './history/counters.ts';
import { createCommitQueue } from './jobs/claim/commit.ts';
import { createJobs, type Jobs } from './jobs/jobs.ts';
import { createCursors } from './lists/cursors.ts';
import { createLogs, type Logs } from './logs/logs.ts';
import { createMaintenance, type Maintenance } from './maintenance/maintenance.ts';
import { createNotifications, type Notifications } from './notifications/notifications.ts';
import { createHealth } from './ops/health.ts';
import { createOps, type Ops } from './ops/ops.ts';
import { onceEachOutage } from './outage-log.ts';
import { createPersonalData, type PersonalData } from './personal-data/personal-data.ts';
import { connectPg } from './pg/client.ts';
import { readSecret } from './pg/secrets.ts';
import type { DispatchConfig } from './process/config.ts';
import { createProjection } from './projection/projection.ts';
import { createSettler } from './projection/settler.ts';
import { createDeliveries, type Deliveries } from './pushes/deliveries.ts';
import { createPushes, type Pushes } from './pushes/pushes.ts';
import {
  reachPg,
  reachRedis,
  requirePermissions,
  requireSubscriptions,
  throughOutages,
} from './reach.ts';
import { connectRedis, type RedisTarget } from './redis/client.ts';
import { createRedisClock, type RedisClock } from './redis/clock.ts';
import { ENGINE_COMMANDS } from './redis/permissions.ts';
import { warnOfServer } from './redis/server-check.ts';
import { type Resynced, resync } from './truth/resync.ts';
import { createUsers, type Users } from './users/blocked.ts';

export type { Logger, PushTasks } from './context.ts';
export type { Devices } from './devices/devices.ts';
export type { TrackedFix } from './drivers/parts.ts';
export type { Fleet, FleetDriver } from './fleet/fleet.ts';
export type { CheckState, Health, HealthState } from './health.ts';
export type { ChangeResult } from './jobs/change.ts';
export type { ClaimResult } from './jobs/claim/decision.ts';
export { CONSIDERED_MAX, type Explanation, OTHERS_MAX } from './jobs/explain.ts';
export type { PostInput } from './jobs/post.ts';
export type { Reader } from './jobs/read.ts';
export type { InvalidCursor, PageQuery } from './lists/cursors.ts';
export type { FeedListener, LogFeed } from './logs/logs.ts';
export type { ZoneFollower } from './logs/zone-log.ts';
export type { NotificationRow, Notifications } from './notifications/notifications.ts';
export { CHARTS, type Chart, keyOf as chartKey, STEP_S as CHART_STEP_S } from './ops/charts.ts';
export type { FleetDriver as ListedDriver } from './ops/drivers.ts';
export type { AlarmState } from './ops/health.ts';
export type { Point } from './ops/pulse.ts';
export { isOutage } from './outage.ts';
export { onceEachOutage } from './outage-log.ts';
export { UnfinishedError } from './personal-data/personal-data.ts';
export type { DriverChange, DriverRow } from './pg/drivers.ts';
export type { JobEventRow } from './pg/jobs.ts';
export type { WavePhone } from './pg/waves.ts';
export type { UserEvent } from './projection/tell.ts';
export type { Deliveries } from './pushes/deliveries.ts';
export type { Offer } from './pushes/offers.ts';
export { onceDecided, reservedDriver } from './pushes/offers.ts';
export type { Pushes } from './pushes/pushes.ts';
export type { PushRecord, RecordedAttempt } from './pushes/record.ts';
export { requirePermissions } from './reach.ts';
export { connectConsumer, connectProducer, type RedisTarget } from './redis/client.ts';
export type { Fix, KnownDriver } from './redis/drivers.ts';
export type { OfferedJob, ZoneEvent } from './redis/open-jobs.ts';
export type { Users } from './users/blocked.ts';

export interface EngineOptions {
  databaseUrl: string;
  /** Connections to Postgres at most; 20 unless it is given. */
  databasePoolSize?: number;
  /** How long a statement may take, ms; 10 s unless it is given. */
  answerMs?: number;
  redisUrl: RedisTarget;
  settings: DispatchConfig;
  push: PushTasks;
  metrics: EngineMetrics;
  log: Logger;
  /** A monotonic clock of this process, ms; only differences count. */
  elapsed?: () => number;
  /** Where to subscribe, if not at `redisUrl`: tests put a faulty network in between. */
  subscriberUrl?: RedisTarget;
  /** Told of the positions that this process took in. */
  onTracked?: (fixes: readonly TrackedFix[]) => void;
}

export interface Engine {
  ctx: EngineContext;
  jobs: Jobs;
  maintenance: Maintenance;
  drivers: Drivers;
  logs: Logs;
  fleet: Fleet;
  settings: DispatchConfig;
  counters: Counters;
  ops: Ops;
  notifications: Notifications;
  devices: Devices;
  pushes: Pushes;
  deliveries: Deliveries;
  users: Users;
  personalData: PersonalData;
  health: Health;
  /** Compares all of Redis with Postgres and lets Postgres win; resolves when people have been told. */
  resync(): Promise<Resynced>;
  /** Epoch ms by the clock of Redis. */
  now: () => number;
  log: Logger;
  /** Waits for work that goes on after answers, then closes the stores. */
  close(): Promise<void>;
}

/** Waits for both stores and connects to them. Throws `StartError`, one line that says why it cannot. */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const { settings, push, metrics, log, elapsed = () => performance.now() } = options;
  const { redis, database, pg } = await connectStores(options);
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
  const prepared = throughOutages(() => prepare(ctx, clock, options), log);
  const { users, health, cursorKey } = await prepared.catch(async (error) => {
    clock.close();
    redis.disconnect();
    await pg.close();
    throw error;
  });
  const cursors = createCursors(cursorKey);
  const counters = createCounters(ctx);
  const alarms = createHealth(ctx);
  const deliveries = createDeliveries(ctx);
  const jobs = createJobs(ctx, { commits, cursors });
  return {
    ctx,
    drivers,
    settings,
    counters,
    ops: createOps(ctx, { cursors, counters, health: alarms }),
    jobs,
    maintenance: createMaintenance(ctx, database),
    logs: createLogs(ctx, { subscriberUrl: options.subscriberUrl ?? options.redisUrl, health }),
    notifications: createNotifications(ctx, cursors),
    fleet: createFleet(ctx),
    devices: createDevices(ctx),
    pushes: createPushes(ctx),
    deliveries,
    users,
    personalData: createPersonalData({ ...ctx, jobs, drivers, users }),
    health,
    async resync() {
      const done = await resync(ctx);
      await settler.idle();
      return done;
    },
    now,
    log,
    async close() {
      health.close();
      alarms.close();
      await Promise.all([drivers.close(), deliveries.close()]);
      background.add(settler.idle());
      await background.drain();
      clock.close();
      redis.disconnect();
      await pg.close();
    },
  };
}

/** Waits for both stores, side by side. */
async function connectStores(options: EngineOptions) {
  const { databaseUrl, databasePoolSize, answerMs, redisUrl, log } = options;
  const redis = connectRedis(redisUrl, onceEachOutage(log));
  try {
    const [database] = await Promise.all([reachPg(databaseUrl, log), reachRedis(redis, log)]);
    return { redis, database, pg: connectPg(database, databasePoolSize, { answerMs }) };
  } catch (error) {
    redis.disconnect();
    throw error;
  }
}

/** Keys and channels that permissions are tried with. */
const CANARY_KEYS = 'muster:{canary}:';

/** What the stores must allow and answer before the first call. */
async function prepare(ctx: EngineContext, clock: RedisClock, { redisUrl }: EngineOptions) {
  const { db, redis, log, drivers } = ctx;
  await requirePermissions(redis, CANARY_KEYS, ENGINE_COMMANDS);
  await requireSubscriptions(redisUrl, CANARY_KEYS);
  for (const warning of await warnOfServer(redis)) log.warn({}, warning);
  await clock.measure();
  await drivers.ensure();
  const users = await createUsers(ctx);
  const cursorKey = await readSecret(db, 'cursors');
  return { users, cursorKey, health: await startHealth({ db, redis, log }) };
}
