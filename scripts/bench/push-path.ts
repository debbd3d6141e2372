/**
 * The whole way of a wave's pushes in one worker: queue, windows and ledger, around
 * the client that the benchmark measures alone.
 */

import type { EngineContext } from '../../engine/context.ts';
import type { Engine } from '../../engine/engine.ts';
import { uuidV7 } from '../../engine/jobs/post.ts';
import { sql } from '../../engine/pg/drizzle.ts';
import { insertJob } from '../../engine/pg/jobs.ts';
import { markDispatched, saveCandidates } from '../../engine/pg/waves.ts';
import { createLog } from '../../engine/process/log.ts';
import { createRegistry } from '../../engine/process/metrics.ts';
import { createApnsRoutes } from '../../workers/push/apns-routes.ts';
import { createPushMetrics } from '../../workers/push/metrics.ts';
import { createSender, type Sender } from '../../workers/push/sender.ts';
import { startPushWorkers } from '../../workers/push/start.ts';
import { createPushQueues, type PushQueues } from '../../workers/queues.ts';
import type { Target } from './push-senders.ts';
import { addDrivers, newJob, type Stores, startEngine } from './stack.ts';

/** Seldom enough that asking costs next to nothing of what is measured. */
const DONE_POLL_MS = 100;
/** Of the candidates. */
const REACH_KM = 30;

export interface PushPath {
  ctx: EngineContext;
  engine: Engine;
  queues: PushQueues;
  sender: Sender;
  /** An open job with a wave to everybody, not handed over yet; returns its id. */
  post(): Promise<string>;
  /** Resolves when every push of a job's wave is on record. */
  pushed(jobId: string): Promise<void>;
  /** Pushes one wave to everybody; resolves when every push is on record. */
  wave(): Promise<{ failed: number }>;
  close(): Promise<void>;
}

/** So many drivers with a phone each, and a worker's lanes in this process. */
export async function startPushPath(
  stores: Stores,
  target: Target,
  drivers: number,
  idOf = (n: number) => `d${n}`,
): Promise<PushPath> {
  const { engine, close } = await startEngine(stores);
  const { ctx } = engine;
  await addDrivers(stores, drivers, { online: true });
  const candidates = Array.from({ length: drivers }, (_, i) => {
    return { driverId: idOf(i), km: Math.random() * REACH_KM };
  });
  await registerPhones(ctx, candidates);
  const { queues, sender, closeLanes } = await startLanes(engine, stores, target);

  async function post(): Promise<string> {
    const row = await insertJob(ctx.db, newJob(uuidV7(Date.now())));
    await ctx.projection.put(row);
    await saveCandidates(ctx.db, row.id, row.wave, candidates, drivers);
    await markDispatched(ctx.db, row.id, row.wave);
    return row.id;
  }

  return {
    ctx,
    engine,
    queues,
    sender,
    post,
    pushed: (jobId) => pushed(ctx, jobId),
    async wave() {
      const jobId = await post();
      await queues.tasks.enqueueWave(jobId, 1);
      await pushed(ctx, jobId);
      const [sent] = await ctx.db.execute<{ n: number }>(sql`
        select count(*)::int as n from pushes where job_id = ${jobId} and outcome = 'sent'`);
      return { failed: drivers - (sent?.n ?? 0) };
    },
    async close() {
      await closeLanes();
      await close();
    },
  };
}

async function registerPhones(
  { db }: EngineContext,
  drivers: readonly { driverId: string }[],
): Promise<void> {
  await db.execute(sql`
    insert into device_tokens (token, user_id, app, environment)
    select md5(random()::text) || lpad(to_hex(n), 32, '0'), value->>'driverId', 'driver', 'sandbox'
    from jsonb_array_elements(${JSON.stringify(drivers)}::text::jsonb) with ordinality c(value, n)`);
}

async function startLanes(
  engine: Engine,
  { redisUrl }: Stores,
  { url, ca, key, keyId, teamId }: Target,
) {
  const log = createLog('bench', 'warn', process.stderr);
  const queues = createPushQueues(redisUrl, log);
  const routes = createApnsRoutes(
    {
      url,
      ca,
      credentials: { key, keyId, teamId },
      defaultEnvironment: 'sandbox',
      driverTopic: 'app.muster.driver',
      customerTopic: 'app.muster.customer',
    },
    log,
  );
  const metrics = createPushMetrics(createRegistry(), queues.byLane, engine.now);
  const sender = createSender({ devices: engine.devices, routes, metrics, log });
  const workers = startPushWorkers({ engine, redisUrl, sender });
  await workers.ready();
  return {
    queues,
    sender,
    async closeLanes() {
      await workers.close();
      await sender.close();
      await queues.close();
    },
  };
}

async function pushed({ db }: EngineContext, jobId: string): Promise<void> {
  for (;;) {
    const [done] = await db.execute<{ pushed: boolean }>(sql`
      select pushed_at is not null as pushed from job_waves where job_id = ${jobId}`);
    if (done?.pushed) return;
    await new Promise((resolve) => setTimeout(resolve, DONE_POLL_MS));
  }
}
