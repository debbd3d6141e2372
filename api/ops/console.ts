/**
 * The operators' pages under `/ops`: the console, which is one page at every path, the queues'
 * dashboard, and the map's coasts. Caches keep none of it. A visitor without access is told how to
 * get in, by a page unless he asks for JSON alone.
 */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Engine } from '../../engine/engine.ts';
import type { HttpApp } from '../deps.ts';
import { ApiError, toApiError } from '../errors.ts';
import { identityOf } from '../guard.ts';
import type { Refuse } from '../refuse.ts';
import { IdParams, LoginQuery } from '../schemas.ts';
import { DASHBOARD_PATH, type Dashboard } from './dashboard.ts';
import type { Entry } from './entry.ts';
import { CellsQuery, outlinesOf } from './map/cells.ts';
import { createLand } from './map/land.ts';
import { readTileAddress } from './map/land-tile.ts';
import { asksForHtml, homePage, signInPage } from './page.ts';
import { createShell, policyOf } from './shell.ts';
import { staticRoutes } from './static-files.ts';

const PATH = '/ops';
const HTML = 'text/html; charset=utf-8';
const JSON_TYPE = 'application/json; charset=utf-8';
/** Coasts and cells change only with the version of Muster. */
const MAP_CACHING = 'private, max-age=86400';

/** The pages' paths as the browser's router knows them. People and proxies sometimes add a slash. */
const PAGES = ['/jobs/:id', '/drivers', '/drivers/', '/drivers/:id', '/health'];

export interface ConsoleOptions {
  engine: Engine;
  entry: Entry;
  /** The path under which a proxy serves everything; empty where there is none. */
  base: string;
  /** Raster tiles under the map, if there are any. */
  tilesUrl: string | undefined;
  dashboard: Dashboard | undefined;
  refuse: Refuse;
}

export async function consoleRoutes(
  plain: FastifyInstance,
  options: ConsoleOptions,
): Promise<void> {
  const { base, dashboard, entry, refuse } = options;
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();
  staticRoutes(app);
  app.get('/', { schema: { hide: true } }, async (request, reply) => {
    if (!asksForHtml(request)) return reply.callNotFound();
    return reply.type(HTML).send(homePage(base));
  });
  pageRoutes(app, options);
  if (!dashboard) return;
  await app.register(
    async (guarded) => {
      guarded.addHook('onRequest', async (request, reply) => {
        reply.header('cache-control', 'no-store');
        try {
          request.identity = await entry.visitorOf(request);
        } catch (error) {
          // The dashboard handles errors itself: our handler must not apply to it.
          const isPage = !/\/(api|static)\//.test(request.url);
          if (isPage) turnAway(error, request, reply, options);
          else refuse(error, request, reply);
          return reply;
        }
      });
      await guarded.register(dashboard(base, refuse));
    },
    { prefix: DASHBOARD_PATH },
  );
}

function pageRoutes(app: HttpApp, options: ConsoleOptions): void {
  const { base, engine, entry, tilesUrl } = options;
  const shell = createShell(options);
  const headers = { 'cache-control': 'no-store', 'content-security-policy': policyOf(tilesUrl) };
  const guard = async (request: FastifyRequest, reply: FastifyReply) => {
    reply.headers(headers);
    try {
      request.identity = await entry.visitorOf(request);
    } catch (error) {
      return turnAway(error, request, reply, options);
    }
    return undefined;
  };
  const shared = { schema: { hide: true }, onRequest: guard };
  for (const path of PAGES) {
    app.get(PATH + path, shared, async (request, reply) =>
      reply.type(HTML).send(shell(identityOf(request))),
    );
  }
  const start = { schema: { hide: true, querystring: LoginQuery } };
  for (const url of [PATH, `${PATH}/`]) {
    app.get(url, start, async (request, reply) => {
      const { token } = request.query;
      if (token === undefined) {
        return (await guard(request, reply)) ?? reply.type(HTML).send(shell(identityOf(request)));
      }
      reply.headers(headers);
      try {
        await entry.signIn(token, request, reply);
        return reply.redirect(base + PATH, 303);
      } catch (error) {
        return turnAway(error, request, reply, options);
      }
    });
  }
  const land = createLand();
  app.get(`${PATH}/map/land/:zoom/:x/:y`, shared, async (request, reply) => {
    const address = readTileAddress(request.params);
    if (!address) return reply.callNotFound();
    reply.header('cache-control', MAP_CACHING).type(JSON_TYPE);
    return reply.send(await land.tile(address));
  });
  const cells = { ...shared, schema: { hide: true, querystring: CellsQuery } };
  app.get(`${PATH}/map/cells`, cells, async (request, reply) => {
    reply.header('cache-control', MAP_CACHING);
    return { cells: outlinesOf(request.query.ids) };
  });
  const notification = { ...shared, schema: { hide: true, params: IdParams } };
  app.get(`${PATH}/notifications/:id`, notification, async (request, reply) => {
    const found = await engine.notifications.find(request.params.id);
    if (!found) throw new ApiError('notification_not_found');
    return reply.redirect(`${base}${PATH}/jobs/${found.jobId}`, 303);
  });
}

/** Says how to get in, as a page unless only JSON is asked for. Other errors are handled elsewhere. */
function turnAway(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  { base, refuse }: ConsoleOptions,
): FastifyReply {
  const refusal = toApiError(error);
  const wantsJson = /\bjson\b/.test(request.headers.accept ?? '') && !asksForHtml(request);
  if (wantsJson || (refusal.status !== 401 && refusal.status !== 403)) {
    refuse(error, request, reply);
    return reply;
  }
  return reply.code(refusal.status).type(HTML).send(signInPage(base, refusal.message));
}
