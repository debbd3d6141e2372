/** A worker process: the push lanes and the reconciler. Any number may run. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { createEngine } from '../engine/engine.ts';
import { readConfig } from '../engine/process/config.ts';
import { createLog } from '../engine/process/log.ts';
import { listenAs, runProcess, stopOnSignal } from '../engine/process/main.ts';
import { createEngineMetrics, createRegistry } from '../engine/process/metrics.ts';
import { createApnsRoutes } from './push/apns-routes.ts';
import { createPushMetrics, measureTrouble } from './push/metrics.ts';
import { createSender } from './push/sender.ts';
import { startPushWorkers } from './push/start.ts';
import { createPushQueues } from './queues.ts';

/** A window in flight and its record fit into this; what does not is handed back. */
const STOP_LIMIT_MS = 15_000;
/** Answers of APNs are waited for this long; the rest of the limit is for their record. */
const DRAIN_MS = 9000;
/** A notification that has no outcome after this is worth an operator's look. */
const UNDONE_MS = 60_000;

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
  const metrics = createPushMetrics(registry, queues.byLane, engine.now);
  const routes = createApnsRoutes(config.apns, log);
  measureTrouble(registry, routes.paused, () => engine.notifications.countUndone(UNDONE_MS));
  const sender = createSender({ devices: engine.devices, routes, metrics, log });
  const workers = startPushWorkers({ engine, redisUrl: config.redisUrl, sender });
  const leader = engine.maintenance.start();
  const health = await serveHealth(config.workerPort, config.host, registry);
  stopOnSignal(log, STOP_LIMIT_MS, async () => {
    const cut = setTimeout(() => void sender.close(), DRAIN_MS);
    await Promise.all([leader.close(), workers.close()]);
    clearTimeout(cut);
    await sender.close();
    await engine.close();
    await queues.close();
    health?.close();
  });
  await workers.ready();
  log.info({}, 'working');
  process.send?.({ type: 'ready', port: portOf(health) });
});

/** Where it listens, if it does. */
function portOf(server: Server | undefined): number | undefined {
  return (server?.address() as AddressInfo | undefined)?.port;
}

/** `/healthz` and `/metrics` (as JSON too, for an api that shows them) on a port of their own, where one is configured. */
async function serveHealth(port: number | undefined, host: string, registry: Registry) {
  if (port === undefined) return undefined;
  const server = createServer(async (request, response) => {
    if (request.url === '/healthz') {
      response.setHeader('content-type', 'application/json').end('{"status":"ok"}');
    } else if (request.url === '/metrics') {
      const text = await registry.metrics();
      response.setHeader('content-type', registry.contentType).end(text);
    } else if (request.url === '/metrics.json') {
      const measures = await registry.getMetricsAsJSON();
      response.setHeader('content-type', 'application/json').end(JSON.stringify(measures));
    } else {
      response.writeHead(404).end();
    }
  });
  await listenAs({ host, port, variable: 'WORKER_PORT' }, async () => {
    server.listen(port, host);
    await once(server, 'listening');
  });
  return server;
}
