/**
 * The HTTP side of an api process, made of its parts: headers, bodies, guard, routes, documents,
 * console. Made once by `main.ts` and by tests, which also listen and close.
 */
import cookie from '@fastify/cookie';
import helmet from '@fastify/helmet';
import fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { BODY_MAX, readBodiesStrictly } from './body.ts';
import type { RouteDeps } from './deps.ts';
import { ApiError } from './errors.ts';
import { createGuard } from './guard.ts';
import { measureRequests } from './http-metrics.ts';
import { watchMethods } from './methods.ts';
import { toRoute } from './ops/address.ts';
import { consoleRoutes } from './ops/console.ts';
import type { Dashboard } from './ops/dashboard.ts';
import { createEntry } from './ops/entry.ts';
import { createRefuse, refuseClient } from './refuse.ts';
import { describeApp, docsRoutes } from './routes/docs.ts';
import { driverJobRoutes } from './routes/driver-jobs.ts';
import { driverRoutes } from './routes/drivers.ts';
import { explainRoute } from './routes/explain.ts';
import { healthRoutes } from './routes/health.ts';
import { jobRoutes } from './routes/jobs.ts';
import { notificationRoutes } from './routes/notifications.ts';
import { opsRoutes } from './routes/ops.ts';
import { opsJobRoutes } from './routes/ops-jobs.ts';
import { pushRoutes } from './routes/push.ts';
import { userRoutes } from './routes/users.ts';

export interface AppOptions extends Omit<RouteDeps, 'pushTest'> {
  log: FastifyBaseLogger;
  pushTest?: RouteDeps['pushTest'];
  /** Aborted when the process is told to stop: clients then take their next call elsewhere. */
  stopping?: AbortSignal;
  /** The queues' pages, shown to operators under /ops/queues. */
  dashboard?: Dashboard;
}

/** Every call is answered within this, with 503 if a store hangs: phones give up later. */
const HANDLER_MS = 10_000;
/** A client that takes longer to send 16 KiB is broken or hostile. */
const REQUEST_MS = 30_000;
/**
 * If we close a connection before the balancer does, a call that it has just sent there is lost. Most keep idle
 * ones for a minute, Google's for ten.
 */
const KEEP_ALIVE_MS = 620_000;
/** Longer than any id, so that an over-long one is still answered as an unknown id. */
const PARAM_MAX = 4096;

export async function createApp(options: AppOptions): Promise<FastifyInstance> {
  const { basePath, trustedProxies } = options.config;
  const refuse = createRefuse(basePath);
  const app = fastify({
    loggerInstance: options.log,
    // URLs may carry tokens: nothing logs them.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_MAX,
    handlerTimeout: HANDLER_MS,
    requestTimeout: REQUEST_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    // Only these addresses may set address, host and TLS by `X-Forwarded-*`.
    trustProxy: trustedProxies.length > 0 && [...trustedProxies],
    rewriteUrl: ({ url = '/' }) => toRoute(url, basePath),
    // Clients that offer HTTP/2 (`Upgrade: h2c`) are answered in HTTP/1.1, as RFC 9110 allows.
    http: { shouldUpgradeCallback: ({ headers }) => /^websocket$/i.test(headers.upgrade ?? '') },
    return503OnClosing: false,
    routerOptions: { maxParamLength: PARAM_MAX },
    frameworkErrors: (error, request, reply) => refuse(error, request, reply),
    clientErrorHandler: refuseClient,
  });
  app.decorateRequest('identity', null);
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  app.setErrorHandler(refuse);
  app.setNotFoundHandler((request, reply) => {
    refuse(new ApiError('not_found'), request, reply);
  });
  readBodiesStrictly(app);
  measureRequests(app, options.registry);
  await app.register(helmet, { contentSecurityPolicy: { directives: PAGES } });
  app.addHook('onRequest', async (_request, reply) => {
    if (options.stopping?.aborted) reply.header('connection', 'close');
  });
  await app.register(cookie);
  const entry = createEntry(options, `${basePath}/ops`);
  app.addHook('onRequest', createGuard({ ...options, entry, base: basePath }));
  await describeApp(app, basePath);
  const refuseOtherMethods = watchMethods(app);
  addRoutes(app, options);
  await docsRoutes(app, basePath);
  const { engine, dashboard } = options;
  const shared = { engine, entry, base: basePath, dashboard, refuse };
  await app.register(consoleRoutes, { ...shared, tilesUrl: options.config.opsTilesUrl });
  refuseOtherMethods();
  return app;
}

function addRoutes(app: FastifyInstance, options: AppOptions): void {
  const { config, engine, auth, registry, feed, pushTest } = options;
  const deps: RouteDeps = { config, engine, auth, registry, feed, pushTest };
  driverRoutes(app, deps);
  driverJobRoutes(app, deps);
  jobRoutes(app, deps);
  opsJobRoutes(app, deps);
  explainRoute(app, deps);
  opsRoutes(app, deps);
  notificationRoutes(app, deps);
  pushRoutes(app, deps);
  userRoutes(app, deps);
  healthRoutes(app, deps);
}

/**
 * For the few pages there are: everything from here, styles also inline (bull-board and Swagger UI need
 * that), scripts never inline. Plain HTTP inside a network must keep working, so nothing is upgraded.
 */
const PAGES = {
  defaultSrc: ["'self'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'", "'unsafe-inline'"],
  imgSrc: ["'self'", 'data:'],
  fontSrc: ["'self'", 'data:'],
  upgradeInsecureRequests: null,
};
