/** A real engine on the test file's own database and Redis; only the push lanes are written down. */
import type { EngineContext, Logger, PushTasks } from '../../engine/context.ts';
import type { JobRow } from '../../engine/domain/job.ts';
import type { TrackedFix } from '../../engine/drivers/parts.ts';
import { createEngine, type Engine } from '../../engine/engine.ts';
import type { PostInput } from '../../engine/jobs/post.ts';
import { type DispatchConfig, readConfig } from '../../engine/process/config.ts';
import { createEngineMetrics, createRegistry } from '../../engine/process/metrics.ts';
import { cleanups } from './cleanups.ts';
import { freshDatabase, freshRedis, type OwnRedis } from './servers.ts';

/** Undone at the end of the file. */
export { cleanups };

export const silentLog: Logger = { info: () => {}, warn: () => {}, error: () => {} };

/** San Francisco; everything in tests happens around it. */
export const HERE = { lat: 37.77, lng: -122.41 };
/** About so many km north of `HERE`. */
export const northOf = (km: number) => ({ lat: HERE.lat + km / 111.226, lng: HERE.lng });

export interface TestEngine {
  engine: Engine;
  ctx: EngineContext;
  databaseUrl: string;
  redisUrl: string;
  redis: OwnRedis;
  /** What was handed to the push lanes. */
  waves: { jobId: string; wave: number }[];
  notifications: string[];
  /** An approved driver, online, at a position. */
  driver(id: string, at?: { lat: number; lng: number }, truckType?: string): Promise<void>;
  post(input?: Partial<PostInput>): Promise<JobRow>;
  /** Another engine over the same stores, as another process would have. */
  another(): Promise<Engine>;
}

export async function startTestEngine(
  settings: Partial<DispatchConfig> = {},
  elapsed?: () => number,
  onTracked: (engine: number, fixes: readonly TrackedFix[]) => void = () => {},
  pushTasks?: (redisUrl: string) => PushTasks,
  subscriberUrl?: (redis: OwnRedis) => Promise<string>,
  ownDatabase?: string,
): Promise<TestEngine> {
  const databaseUrl = ownDatabase ?? (await freshDatabase());
  const redis = await freshRedis();
  const waves: TestEngine['waves'] = [];
  const notifications: string[] = [];
  const engines: Engine[] = [];
  const config = readConfig({
    DATABASE_URL: databaseUrl,
    REDIS_URL: redis.url,
    AUTH_JWT_SECRET: 's'.repeat(32),
  });
  const recorded: PushTasks = {
    async enqueueWave(jobId, wave) {
      waves.push({ jobId, wave });
      return true;
    },
    async enqueueNotifications(notes) {
      notifications.push(...notes.map(({ id }) => id));
      return notes.length;
    },
  };
  const another = async () => {
    const index = engines.length;
    const engine = await createEngine({
      databaseUrl,
      redisUrl: redis.url,
      subscriberUrl: (await subscriberUrl?.(redis)) ?? redis.url,
      settings: { ...config.dispatch, ...settings },
      push: pushTasks?.(redis.url) ?? recorded,
      metrics: createEngineMetrics(createRegistry()),
      log: silentLog,
      ...(elapsed && { elapsed }),
      onTracked: (fixes) => onTracked(index, fixes),
    });
    engines.push(engine);
    return engine;
  };
  const engine = await another();
  cleanups.push(async () => {
    await Promise.all(engines.map((one) => one.close()));
    await redis.stop();
  });
  return {
    engine,
    ctx: engine.ctx,
    databaseUrl,
    redisUrl: redis.url,
    redis,
    waves,
    notifications,
    another,
    async driver(id, at = HERE, truckType) {
      await engine.drivers.change(id, {
        name: `Driver ${id}`,
        approvalStatus: 'approved',
        ...(truckType !== undefined && { truckType }),
      });
      await engine.drivers.setAvailability(id, true);
      const known = await engine.drivers.know(id);
      if (!known) throw new Error(`driver ${id} is not known`);
      await engine.drivers.track(known, { ...at, at: Date.now(), heading: null });
    },
    async post(input = {}) {
      const result = await engine.jobs.post({
        customerId: 'c1',
        address: '1 Main St',
        position: HERE,
        totalPrice: 120,
        truckType: null,
        notes: null,
        expiresAt: null,
        actor: 'customer:c1',
        idempotency: null,
        ...input,
      });
      if (!result.ok) throw new Error(result.code);
      return result.job;
    },
  };
}
