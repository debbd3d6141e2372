/** What a driver does with jobs: see those he is offered, take, decline, report progress, give back. */
import { toJob } from '../../engine/domain/job.ts';
import { AcceptAnswer, AvailableAnswer, JobAnswer } from '../answers.ts';
import type { HttpApp, RouteDeps } from '../deps.ts';
import { describeRoute } from '../document.ts';
import { ApiError, claimAnswer } from '../errors.ts';
import { identityOf } from '../guard.ts';
import { DeclineBody, IdParams, NoBody, ProgressBody, ReleaseBody } from '../schemas.ts';

const tag = 'drivers';
const config = { roles: ['driver'] } as const;

export function driverJobRoutes(app: HttpApp, deps: RouteDeps): void {
  offeredRoutes(app, deps);
  acceptRoute(app, deps);
  holdingRoutes(app, deps);
}

/** Jobs that are on offer. */
function offeredRoutes(app: HttpApp, { engine }: RouteDeps): void {
  app.route({
    method: 'GET',
    url: '/api/drivers/jobs/available',
    config: { ...config, isExpensive: true },
    schema: describeRoute({
      tag,
      summary: 'The jobs you are offered now, nearest first',
      answers: { 200: AvailableAnswer },
    }),
    handler: async (request) => {
      const known = await engine.drivers.know(identityOf(request).sub);
      // This call itself is a sign of life.
      const jobs = known ? await engine.jobs.available({ ...known, seenAt: engine.now() }) : [];
      return { jobs };
    },
  });
  app.route({
    method: 'POST',
    url: '/api/drivers/jobs/:id/decline',
    config,
    schema: describeRoute({
      tag,
      summary: 'Decline a job',
      description: 'It leaves your feed for good; you may still accept it.',
      params: IdParams,
      body: DeclineBody,
      optionalBody: true,
      answers: { 204: null },
      errors: ['not_approved', 'job_not_found'],
    }),
    handler: async (request, reply) => {
      const { id } = request.params;
      const { reason } = request.body;
      const declined = await engine.jobs.decline(id, identityOf(request).sub, reason || null);
      if (!declined.ok) throw new ApiError(declined.code);
      return reply.code(204).send();
    },
  });
}

function acceptRoute(app: HttpApp, { engine }: RouteDeps): void {
  app.route({
    method: 'POST',
    url: '/api/drivers/jobs/:id/accept',
    config,
    schema: describeRoute({
      tag,
      summary: 'Take a job',
      description:
        'The first to accept wins. 200 and 409 are only ever said of what is durable; ' +
        '503 promises nothing: ask again for the same job. The winner may ask again and again.',
      params: IdParams,
      body: NoBody,
      optionalBody: true,
      answers: { 200: AcceptAnswer },
      errors: [
        'not_approved',
        'job_not_found',
        'already_accepted',
        'job_cancelled',
        'job_expired',
        'job_completed',
        'reserved',
        'released',
        'driver_busy',
      ],
    }),
    handler: async (request, reply) => {
      const { id } = request.params;
      const result = await engine.jobs.claim(id, identityOf(request).sub);
      const { status, body } = claimAnswer(result);
      if ('retryAfterMs' in result) {
        reply.header('retry-after', Math.ceil(result.retryAfterMs / 1000));
      }
      return reply.code(status).send(body);
    },
  });
}

/** Jobs that he holds. */
function holdingRoutes(app: HttpApp, { engine }: RouteDeps): void {
  app.route({
    method: 'POST',
    url: '/api/drivers/jobs/:id/status',
    config,
    schema: describeRoute({
      tag,
      summary: 'Report how far you are',
      description: 'en_route → arrived → started → completed; skipping forward is allowed.',
      params: IdParams,
      body: ProgressBody,
      answers: { 200: JobAnswer },
      errors: ['not_approved', 'job_not_found', 'invalid_transition'],
    }),
    handler: async (request) => {
      const { id } = request.params;
      const { status } = request.body;
      const result = await engine.jobs.progress(id, identityOf(request).sub, status);
      if (!result.ok) throw new ApiError(result.code);
      return engine.jobs.view(result.job, 'driver');
    },
  });
  app.route({
    method: 'POST',
    url: '/api/drivers/jobs/:id/release',
    config,
    schema: describeRoute({
      tag,
      summary: 'Give a job back',
      description: 'It is offered again to everybody but you, and the customer is told.',
      params: IdParams,
      body: ReleaseBody,
      optionalBody: true,
      answers: { 200: JobAnswer },
      errors: ['job_not_found', 'job_completed', 'job_cancelled', 'job_expired'],
    }),
    handler: async (request) => {
      const { id } = request.params;
      const { reason } = request.body;
      const result = await engine.jobs.release(id, identityOf(request).sub, reason || null);
      if (!result.ok) throw new ApiError(result.code);
      return toJob(result.job);
    },
  });
}
