/** A worker process: the push lanes and the reconciler. Any number may run. */
import { createServer } from 'node:http';
import { Worker } from 'bullmq';
import { Redis } from 'ioredis';
import type { Registry } from 'prom-client';
import { readConfig } from '../engine/config.ts';
import type { Logger } from '../engine/context.ts';
import { createEngine, onceEachOutage } from '../engine/engine.ts';
import { createLog } from '../engine/log.ts';
import { createEngineMetrics, createRegistry } from '../engine/metrics.ts';
import { runProcess, stopOnSignal } from '../engine/process.ts';
import { startReconciler } from '../engine/reconcile.ts';
import { createApnsRoutes } from './push/apns-routes.ts';
import { createCriticalLane } from './push/critical.ts';
import { createPushMetrics } from './push/metrics.ts';
import { createNearbyLane } from './push/nearby.ts';
import { createSender } from './push/sender.ts';
import {
  type ChunkTask,
  createPushQueues,
  enqueueChunks,
  type Lane,
  queueName,
  queuePrefix,
  type WaveTask,
} from './queues.ts';

/** A window in flight and its record fit into this; what does not is handed back. */
const STOP_LIMIT_MS = 15_000;
/** With windows of 50: at most 200 nearby pushes of a worker are in flight. */
const NEARBY_CONCURRENCY = 4;
/** Most of a task's time is spent waiting for Apple. */
const CRITICAL_CONCURRENCY = 50;

await runProcess('workers', async () => {
  const config = readConfig(process.env);
  const log = createLog('muster-workers', config.logLevel);
  const registry = createRegistry();
  const queues = createPushQueues(config.redisUrl, log);
  const engine = await createEngine({
    databaseUrl: config.databaseUrl,
    redisUrl: config.redisUrl,
    settings: config.dispatch,
    push: queues.tasks,
    metrics: createEngineMetrics(registry),
    log,
  });
  const { ctx } = engine;
  const metrics = createPushMetrics(registry, queues.byLane, ctx.now);
  const routes = createApnsRoutes(config.apns, log);
  const sender = createSender({ db: ctx.db, routes, metrics, log, now: ctx.now });
  const stopping = new AbortController();
  const nearby = createNearbyLane(ctx, sender);
  const critical = createCriticalLane(ctx, sender);
  const workers = [
    startWorker(config.redisUrl, log, 'critical', CRITICAL_CONCURRENCY, (task) => {
      const lastTry = task.attemptsMade + 1 >= (task.opts.attempts ?? 1);
      return critical.notify(task.data, lastTry);
    }),
    startWorker(config.redisUrl, log, 'nearby', NEARBY_CONCURRENCY, async (task) => {
      if ('from' in task.data) return nearby.chunk(task, stopping.signal);
      const chunks = await nearby.wave(task.data as WaveTask);
      await enqueueChunks(queues.byLane.nearby, chunks as ChunkTask[]);
      return `${chunks.length} chunks`;
    }),
  ];
  const reconciler = startReconciler(ctx);
  const health = await serveHealth(config.workerPort, config.host, registry);
  stopOnSignal(log, STOP_LIMIT_MS, async () => {
    stopping.abort(new Error('the worker is stopping'));
    await Promise.all([reconciler.close(), ...workers.map((worker) => worker.close())]);
    await sender.close();
    await engine.close();
    await queues.close();
    health?.close();
  });
  await Promise.all(workers.map((worker) => worker.waitUntilReady()));
  log.info({}, 'working');
  process.send?.({ type: 'ready' });
});

function startWorker(
  redisUrl: string,
  log: Logger,
  lane: Lane,
  concurrency: number,
  // biome-ignore lint/suspicious/noExplicitAny: the lane knows what its tasks hold
  work: (task: any) => Promise<string>,
): Worker {
  // BullMQ waits for Redis on this connection for as long as it takes.
  const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
  const quiet = onceEachOutage(log);
  connection.on('error', quiet);
  const worker = new Worker(queueName(lane), work, {
    connection,
    prefix: queuePrefix(lane),
    concurrency,
    skipVersionCheck: true,
  });
  worker.on('error', quiet);
  worker.on('closed', () => connection.disconnect());
  return worker;
}

/** `/healthz` and `/metrics` on a port of their own, where one is configured. */
async function serveHealth(port: number | undefined, host: string, registry: Registry) {
  if (port === undefined) return undefined;
  const server = createServer(async (request, response) => {
    if (request.url === '/healthz') {
      response.setHeader('content-type', 'application/json').end('{"status":"ok"}');
    } else if (request.url === '/metrics') {
      const text = await registry.metrics();
      response.setHeader('content-type', registry.contentType).end(text);
    } else {
      response.writeHead(404).end();
    }
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(port, host, resolve);
  await promise;
  return server;
}
