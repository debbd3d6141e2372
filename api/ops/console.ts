/**
 * The operators' pages under `/ops`: their start page, the queues' dashboard, a job's page, and the
 * files that all pages share. Nothing here is kept by a cache; who is not let in is told how to get
 * in, by a page unless he asks for JSON alone.
 */
import { readFileSync } from 'node:fs';
import cookie from '@fastify/cookie';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Engine } from '../../engine/engine.ts';
import type { Auth } from '../auth.ts';
import type { HttpApp } from '../deps.ts';
import { ApiError, toApiError } from '../errors.ts';
import type { Refuse } from '../refuse.ts';
import { IdParams, LoginQuery } from '../schemas.ts';
import { DASHBOARD_PATH, type Dashboard } from './dashboard.ts';
import { createEntry, type Entry } from './entry.ts';
import { jobOfNotification, jobPage } from './job-page.ts';
import { asksForHtml, consolePage, homePage, signInPage } from './page.ts';

const PATH = '/ops';
const HTML = 'text/html; charset=utf-8';

/** Open to anyone: the pages that say how to get in need them. */
const FILES = [
  { name: 'style.css', type: 'text/css; charset=utf-8' },
  { name: 'icon.svg', type: 'image/svg+xml' },
  { name: 'queues.js', type: 'text/javascript; charset=utf-8' },
].map(({ name, type }) => ({
  ...{ name, type },
  text: readFileSync(new URL(`static/${name}`, import.meta.url), 'utf8'),
}));

export interface ConsoleOptions {
  auth: Auth;
  engine: Engine;
  /** The path under which a proxy serves everything; empty where there is none. */
  base: string;
  dashboard: Dashboard | undefined;
  refuse: Refuse;
}

export async function consoleRoutes(
  plain: FastifyInstance,
  options: ConsoleOptions,
): Promise<void> {
  const { base, dashboard, refuse } = options;
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();
  await app.register(cookie);
  const entry = createEntry(options, base + PATH);
  for (const { name, type, text } of FILES) {
    app.get(`${PATH}/static/${name}`, { schema: { hide: true } }, async (_request, reply) =>
      reply.type(type).header('cache-control', 'public, max-age=300').send(text),
    );
  }
  app.get('/', { schema: { hide: true } }, async (request, reply) => {
    if (!asksForHtml(request)) return reply.callNotFound();
    return reply.type(HTML).send(homePage(base));
  });
  // People and proxies add a slash at times.
  for (const url of [PATH, `${PATH}/`]) startRoute(app, url, options, entry);
  jobPageRoutes(app, options, entry);
  if (!dashboard) return;
  await app.register(
    async (guarded) => {
      guarded.addHook('onRequest', async (request, reply) => {
        reply.header('cache-control', 'no-store');
        try {
          request.identity = await entry.visitorOf(request);
        } catch (error) {
          // The dashboard answers errors in a way of its own: ours must not reach it.
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

function startRoute(app: HttpApp, url: string, options: ConsoleOptions, entry: Entry): void {
  const { base, dashboard } = options;
  app.route({
    method: 'GET',
    url,
    schema: { hide: true, querystring: LoginQuery },
    handler: async (request, reply) => {
      const { token } = request.query;
      reply.header('cache-control', 'no-store');
      try {
        if (token === undefined) {
          await entry.visitorOf(request);
          return reply.type(HTML).send(consolePage(base, dashboard !== undefined));
        }
        await entry.signIn(token, request, reply);
        return reply.redirect(base + PATH, 303);
      } catch (error) {
        return turnAway(error, request, reply, options);
      }
    },
  });
}

function jobPageRoutes(app: HttpApp, options: ConsoleOptions, entry: Entry): void {
  const { base, engine } = options;
  const guard = async (request: FastifyRequest, reply: FastifyReply) => {
    reply.header('cache-control', 'no-store');
    try {
      await entry.visitorOf(request);
    } catch (error) {
      return turnAway(error, request, reply, options);
    }
    return undefined;
  };
  const shared = { schema: { hide: true, params: IdParams }, onRequest: guard };
  app.get(`${PATH}/jobs/:id`, shared, async (request, reply) => {
    const page = await jobPage(engine, base, request.params.id);
    if (page === null) throw new ApiError('job_not_found');
    return reply.type(HTML).send(page);
  });
  app.get(`${PATH}/notifications/:id`, shared, async (request, reply) => {
    const jobId = await jobOfNotification(engine, request.params.id);
    if (jobId === null) throw new ApiError('notification_not_found');
    return reply.redirect(`${base}${PATH}/jobs/${jobId}`, 303);
  });
}

/** Says how to get in: as a page, unless only JSON is asked for. Other errors are none of ours. */
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
