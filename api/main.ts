/** The api process: HTTP, the feed gateway, and the engine behind both. Any number may run. */

import { createEngine } from '../engine/engine.ts';
import { readConfig } from '../engine/process/config.ts';
import { checkoutStateDir, withDevSecret } from '../engine/process/dev-secret.ts';
import { createLog } from '../engine/process/log.ts';
import { listenAs } from '../engine/process/main.ts';
import { createEngineMetrics, createRegistry } from '../engine/process/metrics.ts';
import { runService } from '../engine/process/service.ts';
import { SharedRegistry } from '../engine/process/shared-registry.ts';
import { createPushMetrics } from '../workers/push/metrics.ts';
import { createPushTest } from '../workers/push/push-test.ts';
import { createPushQueues } from '../workers/queues.ts';
import { createApp } from './app.ts';
import { createAuth } from './auth.ts';
import { withoutBase } from './base-path.ts';
import { createHttpDrain } from './drain.ts';
import { Gateway } from './feed/gateway.ts';
import { createHostOf } from './forwarded-host.ts';
import { createDashboard } from './ops/dashboard.ts';

/** Calls are answered within 10 s; sockets are closed meanwhile. */
const CALLS_LIMIT_MS = 11_000;
/** Claims that go on after their answers, and what is to be written to Postgres. */
const ENGINE_LIMIT_MS = 6000;
const QUEUES_LIMIT_MS = 1000;

await runService('api', async (service) => {
  const config = readConfig(withDevSecret(process.env, checkoutStateDir));
  const log = createLog('muster-api', config.logLevel);
  const registry = createRegistry(new SharedRegistry());
  process.on('message', (said: { type?: string; urls?: string[] }) => {
    // Sent by the development stack when its workers are up.
    if (said.type === 'workers') registry.others = said.urls ?? [];
  });
  for (const warning of config.warnings) log.warn({}, warning);
  const queues = createPushQueues(config.redis, log);
  let gateway: Gateway | undefined;
  const engine = await createEngine({
    databaseUrl: config.databaseUrl,
    databasePoolSize: config.databasePoolSize,
    redisUrl: config.redis,
    settings: config.dispatch,
    push: queues.tasks,
    metrics: createEngineMetrics(registry),
    log,
    onTracked: (fixes) => gateway?.onTracked(fixes),
  });
  await queues.check();
  const auth = createAuth(config.auth);
  const feed = new Gateway({ engine, auth, registry, hostOf: createHostOf(config.trustedProxies) });
  gateway = feed;
  // Workers count the pushes; how long tasks wait can be seen from here as well.
  createPushMetrics(registry, queues.byLane, engine.now);
  const app = await createApp({
    config,
    engine,
    auth,
    registry,
    log,
    feed: { ready: () => feed.ready() && !service.stopping.aborted },
    stopping: service.stopping,
    dashboard: createDashboard(queues.queues),
    pushTest: createPushTest({ devices: engine.devices, apns: config.apns, log }),
  });
  app.server.on('upgrade', (request, socket, head) => {
    request.url = withoutBase(request.url ?? '/', config.basePath);
    void feed.handleUpgrade(request, socket, head);
  });
  const drainHttp = createHttpDrain(app.server);
  service.endWith({
    log,
    delayMs: config.shutdownDelayMs,
    phases: [
      {
        name: 'calls',
        limitMs: CALLS_LIMIT_MS,
        run: () => Promise.all([drainHttp(), feed.drain()]).then(() => app.close()),
      },
      { name: 'engine', limitMs: ENGINE_LIMIT_MS, run: () => engine.close() },
      { name: 'queues', limitMs: QUEUES_LIMIT_MS, run: () => queues.close() },
    ],
  });
  const { host, port } = config;
  const url = await listenAs({ host, port, variable: 'PORT' }, () => app.listen({ host, port }));
  log.info({ url }, 'listening');
  process.send?.({ type: 'listening', url });
});
