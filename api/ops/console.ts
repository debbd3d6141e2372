/**
 * The operators' pages under `/ops`, behind a cookie that the console link sets:
 * `/ops?token=<JWT>` takes an operator's token out of the address and into a cookie that scripts
 * cannot read and other sites cannot send. A bearer token does as well.
 */
import cookie from '@fastify/cookie';
import type { FastifyInstance, FastifyPluginAsync, FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import { type Auth, bearer, type Identity, UnauthorizedError } from '../auth.ts';
import { ApiError } from '../errors.ts';
import type { Refuse } from '../refuse.ts';
import { LoginQuery } from '../schemas.ts';
import { DASHBOARD_PATH } from './dashboard.ts';
import { consolePage } from './page.ts';

const COOKIE = 'muster_ops';
const PATH = '/ops';
/** Browsers keep no cookie for longer. */
const COOKIE_MAX_MS = 400 * 86_400_000;

export interface ConsoleOptions {
  auth: Auth;
  /** The cookie then travels over TLS only. */
  production: boolean;
  dashboard: FastifyPluginAsync | undefined;
  refuse: Refuse;
}

export async function consoleRoutes(app: FastifyInstance, options: ConsoleOptions): Promise<void> {
  const { auth, production, dashboard, refuse } = options;
  await app.register(cookie);
  app.route({
    method: 'GET',
    url: PATH,
    schema: { hide: true, querystring: LoginQuery },
    handler: async (request, reply) => {
      const { token } = request.query as Static<typeof LoginQuery>;
      reply.header('cache-control', 'no-store');
      if (token === undefined) {
        await operatorOf(request, auth);
        return reply.type('text/html; charset=utf-8').send(consolePage(dashboard !== undefined));
      }
      const { expiresAt } = await operator(auth, token);
      reply.setCookie(COOKIE, token, {
        path: PATH,
        httpOnly: true,
        sameSite: 'strict',
        secure: production,
        expires: new Date(Math.min(expiresAt, Date.now() + COOKIE_MAX_MS)),
      });
      return reply.redirect(PATH, 303);
    },
  });
  if (!dashboard) return;
  await app.register(
    async (guarded) => {
      guarded.addHook('onRequest', async (request, reply) => {
        try {
          await operatorOf(request, auth);
        } catch (error) {
          // The dashboard answers errors in a way of its own: ours must not reach it.
          refuse(error, request, reply);
          return reply;
        }
      });
      await guarded.register(dashboard);
    },
    { prefix: DASHBOARD_PATH },
  );
}

/** Throws `unauthorized` without a valid token, `forbidden` when it is no operator's. */
async function operatorOf(request: FastifyRequest, auth: Auth): Promise<Identity> {
  const token = bearer(request.headers.authorization) ?? request.cookies[COOKIE];
  if (!token) throw new UnauthorizedError('Open the console link of an operator');
  return operator(auth, token);
}

async function operator(auth: Auth, token: string): Promise<Identity> {
  const identity = await auth.verify(token);
  if (identity.role !== 'operator') throw new ApiError('forbidden');
  return identity;
}
