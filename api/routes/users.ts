/** Blocks users, whatever their tokens say. */
import { UserAnswer } from '../answers.ts';
import type { HttpApp, RouteDeps } from '../deps.ts';
import { describeRoute } from '../document.ts';
import { invalid } from '../errors.ts';
import { actorOf, identityOf } from '../guard.ts';
import { BlockBody, UserParams } from '../schemas.ts';

export function userRoutes(app: HttpApp, { engine }: RouteDeps): void {
  app.route({
    method: 'PUT',
    url: '/api/ops/users/:id',
    config: { roles: ['operator'] },
    schema: describeRoute({
      tag: 'operators',
      summary: 'Block or unblock a user of any role',
      description:
        'Every call of a blocked user is refused with `blocked`, and his feeds close with 4501 ' +
        'within a second. A driver goes offline, so that nothing is offered to his phone either.',
      params: UserParams,
      body: BlockBody,
      answers: { 200: UserAnswer },
    }),
    handler: async (request) => {
      const { id } = request.params;
      const { blocked } = request.body;
      const identity = identityOf(request);
      // Only an operator could unblock him, and he may be the only one.
      if (blocked && id === identity.sub) {
        throw invalid([{ field: 'id', rule: 'must not be your own' }]);
      }
      const by = actorOf(identity);
      await engine.users.setBlocked(id, blocked, by);
      const isOnline = blocked && (await engine.drivers.find(id))?.online;
      if (isOnline) await engine.drivers.setAvailability(id, false, by);
      return { id, blocked };
    },
  });
}
