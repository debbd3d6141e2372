/** What operators do with a job: reserve it, give it back, offer it again. */
import { JobAnswer } from '../answers.ts';
import type { HttpApp, RouteDeps } from '../deps.ts';
import { describeRoute } from '../document.ts';
import { actorOf, identityOf } from '../guard.ts';
import { AssignBody, IdParams, NoBody, ReleaseBody } from '../schemas.ts';
import { changed } from '../views.ts';

const tag = 'operators';
const config = { roles: ['operator'] } as const;
const SETTLED = ['already_accepted', 'job_cancelled', 'job_expired', 'job_completed'] as const;

export function opsJobRoutes(app: HttpApp, { engine }: RouteDeps): void {
  app.route({
    method: 'POST',
    url: '/api/ops/jobs/:id/assign',
    config,
    schema: describeRoute({
      tag,
      summary: 'Reserve an open job for one driver',
      description: 'Only he may accept it; his decline reopens it.',
      params: IdParams,
      body: AssignBody,
      answers: { 200: JobAnswer },
      errors: ['job_not_found', 'driver_not_found', 'not_approved', ...SETTLED],
    }),
    handler: async (request) => {
      const { driver_id } = request.body;
      const { id } = request.params;
      const result = await engine.jobs.assign(id, driver_id, actorOf(identityOf(request)));
      return engine.jobs.view(changed(result), 'owner');
    },
  });
  app.route({
    method: 'POST',
    url: '/api/ops/jobs/:id/release',
    config,
    schema: describeRoute({
      tag,
      summary: 'Give a job back in place of its driver',
      description:
        'It is `pending` again and offered to everybody but him; he and the customer are told. A ' +
        'reserved job is open to all again.',
      params: IdParams,
      body: ReleaseBody,
      optionalBody: true,
      answers: { 200: JobAnswer },
      errors: ['job_not_found', 'invalid_transition', ...SETTLED],
    }),
    handler: async (request) => {
      const { id } = request.params;
      const { reason } = request.body;
      const result = await engine.jobs.releaseByOperator(
        id,
        actorOf(identityOf(request)),
        reason || null,
      );
      return engine.jobs.view(changed(result), 'owner');
    },
  });
  app.route({
    method: 'POST',
    url: '/api/ops/jobs/:id/dispatch',
    config,
    schema: describeRoute({
      tag,
      summary: 'Open a new wave of an open job now',
      description: 'The next, wider wave of the plan; after the last one the last once more.',
      params: IdParams,
      body: NoBody,
      optionalBody: true,
      answers: { 200: JobAnswer },
      errors: ['job_not_found', 'invalid_transition', ...SETTLED],
    }),
    handler: async (request) => {
      const { id } = request.params;
      const result = await engine.jobs.dispatchAgain(id, actorOf(identityOf(request)));
      return engine.jobs.view(changed(result), 'owner');
    },
  });
}
