/** Blocks users, whatever their tokens say. */
import { UserAnswer } from '../answers.ts';
import type { HttpApp, RouteDeps } from '../deps.ts';
import { describeRoute } from '../document.ts';
import { invalid } from '../errors.ts';
import { identityOf } from '../guard.ts';
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
        'within a second.',
      params: UserParams,
      body: BlockBody,
      answers: { 200: UserAnswer },
    }),
    handler: async (request) => {
      const { id } = request.params;
      const { blocked } = request.body;
      const { sub, role } = identityOf(request);
      // Only an operator could unblock him, and he may be the only one.
      if (blocked && id === sub) throw invalid([{ field: 'id', rule: 'must not be your own' }]);
      await engine.users.setBlocked(id, blocked, `${role}:${sub}`);
      return { id, blocked };
    },
  });
}
