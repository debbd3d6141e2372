/**
 * The engine of one process: its two stores, the verbs bound to them, and the work that goes on
 * after an answer was given. Made once by api and worker processes and by tests.
 */

import {
  type EngineContext,
  type EngineMetrics,
  type Logger,
  type PushTasks,
  withDeadline,
} from './context.ts';
import type { Job, Progress } from './domain/job.ts';
import { forgetApproval } from './drivers/approval.ts';
import {
  type AvailabilityResult,
  changeDriver,
  knowDriver,
  setAvailability,
} from './drivers/profile.ts';
import { createTracker, type TrackedFix, type Tracker } from './drivers/track.ts';
import { type Health, startHealth } from './health.ts';
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
import { connectPg, type Db, isHopeless as isHopelessPg } from './pg/client.ts';
import type { DriverChange, DriverRow } from './pg/drivers.ts';
import type { Actor } from './pg/jobs.ts';
import { isCurrentSchema, isStandby } from './pg/migrate.ts';
import type { DispatchConfig } from './process/config.ts';
import { StartError } from './process/start-error.ts';
import { ensureDrivers } from './projection/zones.ts';
import { reach } from './reach.ts';
import { connectRedis, type RedisClient, type RedisTarget, whenReady } from './redis/client.ts';
import type { KnownDriver } from './redis/drivers.ts';
import { isHopeless as isHopelessRedis } from './redis/wrong-server.ts';

export interface EngineOptions {
  databaseUrl: string;
  /** Connections to Postgres at most; 20 unless it is given. */
  databasePoolSize?: number;
  redisUrl: RedisTarget;
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
  health: Health;
  /** Waits for the work after the answers, then closes the stores. */
  close(): Promise<void>;
}

/** One try of a start to reach a store; it is made again. */
const REACH_MS = 2000;
/** How long `close` waits for settling and dispatching; the reconciler does the rest. */
const DRAIN_MS = 5000;
/** A lost connection fails many times a second; one line a second is enough to see it. */
const OUTAGE_LOG_MS = 1000;

/** Waits for both stores and connects them. Throws `StartError`, one line that says why it cannot. */
export async function createEngine(options: EngineOptions): Promise<Engine> {
  const { settings, push, metrics, log, now = Date.now } = options;
  const pg = connectPg(options.databaseUrl, options.databasePoolSize);
  const redis = connectRedis(options.redisUrl, onceEachOutage(log));
  const { background, drain } = createBackground(log);
  const ctx: EngineContext = { db: pg.db, redis, settings, push, metrics, log, background, now };
  let health: Health;
  try {
    await Promise.all([reachPg(pg.db, log), reachRedis(redis, log)]);
    await ensureDrivers(ctx);
    health = await startHealth({ db: pg.db, redis, log });
  } catch (error) {
    redis.disconnect();
    await pg.close();
    throw error;
  }
  const tracker = createTracker(ctx, options.onTracked ?? (() => {}));
  return {
    ctx,
    tracker,
    health,
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
      health.close();
      await tracker.close();
      await drain();
      redis.disconnect();
      await pg.close();
    },
  };
}

function reachPg(db: Db, log: Logger): Promise<void> {
  const attempt = async () => {
    if (await isStandby(db)) {
      throw new StartError('DATABASE_URL leads to a standby, its primary is needed');
    }
    if (await isCurrentSchema(db)) return;
    throw new StartError('the database has an older schema: run `npm run migrate` first');
  };
  const inTime = () =>
    withDeadline(attempt(), REACH_MS, () => new Error('PostgreSQL does not answer in time'));
  const store = { name: 'PostgreSQL', variable: 'DATABASE_URL' } as const;
  return reach({ ...store, attempt: inTime, isHopeless: isHopelessPg }, log);
}

function reachRedis(redis: RedisClient, log: Logger): Promise<void> {
  const attempt = () => whenReady(redis, REACH_MS);
  const store = { name: 'Redis', variable: 'REDIS_URL' } as const;
  return reach({ ...store, attempt, isHopeless: isHopelessRedis }, log);
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
