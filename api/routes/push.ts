/** The phones of drivers and customers: register, forget, test. */
import { PushTestAnswer } from '../answers.ts';
import type { HttpApp, RouteDeps } from '../deps.ts';
import { describeRoute } from '../document.ts';
import { ApiError } from '../errors.ts';
import { identityOf } from '../guard.ts';
import { NoBody, TokenBody, TokenParams } from '../schemas.ts';
import { appOf } from './notifications.ts';

const tag = 'push';
const config = { roles: ['driver', 'customer'] } as const;
/** The status of a push that APNs accepted. */
const TAKEN = 200;

/** Upper and lower case hex is the same phone. */
const onePhone = (token: string) => token.toLowerCase();

export function pushRoutes(app: HttpApp, deps: RouteDeps): void {
  const { devices } = deps.engine;
  app.route({
    method: 'POST',
    url: '/api/push/tokens',
    config,
    schema: describeRoute({
      tag,
      summary: 'Register a phone',
      description:
        'A token that comes with another user belongs to the newest. The ten newest of a user are kept.',
      body: TokenBody,
      answers: { 204: null },
    }),
    handler: async (request, reply) => {
      const identity = identityOf(request);
      const { token, environment } = request.body;
      await devices.register({
        token: onePhone(token),
        userId: identity.sub,
        app: appOf(identity),
        environment: environment ?? deps.config.apns.defaultEnvironment,
      });
      return reply.code(204).send();
    },
  });
  app.route({
    method: 'DELETE',
    url: '/api/push/tokens/:token',
    config,
    schema: describeRoute({
      tag,
      summary: 'Forget a phone',
      params: TokenParams,
      answers: { 204: null },
    }),
    handler: async (request, reply) => {
      const identity = identityOf(request);
      const { token } = request.params;
      await devices.forget(identity.sub, appOf(identity), onePhone(token));
      return reply.code(204).send();
    },
  });
  testRoute(app, deps);
}

function testRoute(app: HttpApp, { config: { production }, pushTest }: RouteDeps): void {
  app.route({
    method: 'POST',
    url: '/api/push/test',
    config,
    schema: describeRoute({
      tag,
      summary: 'Push a test to your own phones',
      description: 'Refused in production.',
      body: NoBody,
      optionalBody: true,
      answers: { 200: PushTestAnswer },
    }),
    handler: async (request) => {
      if (production || !pushTest) {
        throw new ApiError('forbidden', { message: 'Test pushes are off here' });
      }
      const identity = identityOf(request);
      const results = await pushTest(identity.sub, appOf(identity));
      return { sent: results.filter(({ status }) => status === TAKEN).length, results };
    },
  });
}
