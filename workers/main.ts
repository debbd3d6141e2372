/** A worker process: the push lanes and maintenance. Any number may run. */
import { createEngine } from '../engine/engine.ts';
import { readConfig } from '../engine/process/config.ts';
import { createLog } from '../engine/process/log.ts';
import { createEngineMetrics, createRegistry } from '../engine/process/metrics.ts';
import { runService } from '../engine/process/service.ts';
import { portOf, serveHealth } from './health.ts';
import { createApnsRoutes } from './push/apns-routes.ts';
import { createPushMetrics, measureTrouble } from './push/metrics.ts';
import { createSender } from './push/sender.ts';
import { startPushWorkers } from './push/start.ts';
import { createPushQueues } from './queues.ts';

/** A window in flight and its record fit into this; the rest is handed back. */
const PUSHES_LIMIT_MS = 12_000;
/** How long to wait for answers of APNs; the rest of the limit is for recording them. */
const DRAIN_MS = 9000;
const ENGINE_LIMIT_MS = 6000;
const QUEUES_LIMIT_MS = 1000;
/** A notification that has no outcome after this is worth an operator's look. */
const UNDONE_MS = 60_000;

/** The lease of the leader has a connection of its own, within what the process may open. */
const LEASE_CONNECTIONS = 1;

await runService('workers', async (service) => {
  const config = readConfig(process.env);
  const log = createLog('muster-workers', config.logLevel);
  const registry = createRegistry();
  for (const warning of config.warnings) log.warn({}, warning);
  const queues = createPushQueues(config.redis, log);
  const engine = await createEngine({
    databaseUrl: config.databaseUrl,
    databasePoolSize: Math.max(1, config.databasePoolSize - LEASE_CONNECTIONS),
    redisUrl: config.redis,
    settings: config.dispatch,
    push: queues.tasks,
    metrics: createEngineMetrics(registry),
    log,
  });
  await queues.check();
  const metrics = createPushMetrics(registry, queues.byLane, engine.now);
  const routes = createApnsRoutes(config.apns, log);
  measureTrouble(registry, queues.byLane, routes.paused, () =>
    engine.notifications.countUndone(UNDONE_MS),
  );
  const sender = createSender({ devices: engine.devices, routes, metrics, log });
  const health = await serveHealth({
    ...config,
    registry,
    ready: () => ({ ...engine.health.state(), queues: queues.ready() ? 'ok' : 'failed' }),
    stopping: service.stopping,
  });
  const workers = startPushWorkers({ engine, redisUrl: config.redis, sender });
  const leader = engine.maintenance.start();
  const stopPushes = async () => {
    const cut = setTimeout(() => void sender.close(), DRAIN_MS);
    await Promise.all([leader.close(), workers.close()]);
    clearTimeout(cut);
    await sender.close();
  };
  service.endWith({
    log,
    delayMs: config.shutdownDelayMs,
    phases: [
      { name: 'pushes', limitMs: PUSHES_LIMIT_MS, run: stopPushes },
      { name: 'engine', limitMs: ENGINE_LIMIT_MS, run: () => engine.close() },
      { name: 'queues', limitMs: QUEUES_LIMIT_MS, run: () => queues.close() },
    ],
  });
  await workers.ready();
  log.info({}, 'working');
  process.send?.({ type: 'ready', port: portOf(health) });
});
