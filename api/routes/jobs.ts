/** Jobs as customers, operators and services see them: post, read, confirm, cancel, assign. */
import type { Static } from 'typebox';
import type { JobRow } from '../../engine/domain/job.ts';
import type { Engine, PostInput } from '../../engine/engine.ts';
import { JobAnswer, JobsAnswer, PostAnswer, TimelineAnswer } from '../answers.ts';
import { type Identity, READERS, readsAll } from '../auth.ts';
import type { HttpApp, RouteDeps } from '../deps.ts';
import { describeRoute } from '../document.ts';
import { ApiError, invalid } from '../errors.ts';
import { actorOf, identityOf } from '../guard.ts';
import { JobsQuery, pageOf, shown, statusesOf } from '../lists.ts';
import {
  CancelBody,
  expiryRules,
  IdempotencyHeaders,
  IdParams,
  NoBody,
  PostJobBody,
  parseTime,
  postRules,
} from '../schemas.ts';
import { composed, spelled } from '../text.ts';
import { changed, maySee, readerOf, timelineView } from '../views.ts';

const tag = 'jobs';

export function jobRoutes(app: HttpApp, deps: RouteDeps): void {
  postRoute(app, deps);
  readRoutes(app, deps);
  changeRoutes(app, deps);
}

function postRoute(app: HttpApp, { engine }: RouteDeps): void {
  app.route({
    method: 'POST',
    url: '/api/jobs',
    config: { roles: ['customer', 'operator', 'service'] },
    schema: describeRoute({
      tag,
      summary: 'Post a job',
      description:
        'Without a position it goes to every available driver. The same Idempotency-Key again ' +
        'within a day answers 200 with the first job.',
      headers: IdempotencyHeaders,
      body: PostJobBody,
      answers: { 201: PostAnswer, 200: PostAnswer },
      errors: ['idempotency_mismatch', 'too_many_open_jobs'],
    }),
    handler: async (request, reply) => {
      const identity = identityOf(request);
      const body = request.body;
      const key = request.headers['idempotency-key'];
      const input = toPostInput(identity, body, typeof key === 'string' ? key : undefined);
      const late = expiryRules(body, engine.now());
      // A repeated call is answered like the first one, even after its `expires_at` has passed.
      if (late.length > 0 && !(await isRepeated(input))) throw invalid(late);
      const result = await engine.jobs.post(input);
      if (!result.ok) throw new ApiError(result.code);
      const job = await engine.jobs.view(result.job, readerOf(identity));
      return reply.code(result.created ? 201 : 200).send({ job });
    },
  });

  async function isRepeated({ idempotency }: PostInput): Promise<boolean> {
    if (!idempotency) return false;
    return engine.jobs.wasPosted(idempotency.sub, idempotency.key);
  }
}

function toPostInput(
  identity: Identity,
  body: Static<typeof PostJobBody>,
  key: string | undefined,
): PostInput {
  const { sub, role } = identity;
  const broken = postRules(body, role !== 'customer');
  if (broken.length > 0) throw invalid(broken);
  const { lat, lng } = body;
  return {
    customerId: body.customer_id ?? sub,
    address: composed(body.address),
    position: typeof lat === 'number' && typeof lng === 'number' ? { lat, lng } : null,
    totalPrice: body.total_price,
    truckType: body.truck_type ? spelled(body.truck_type) : null,
    notes: body.notes ?? null,
    expiresAt: body.expires_at ? parseTime(body.expires_at) : null,
    actor: actorOf(identity),
    idempotency: key === undefined ? null : { sub, key, body },
  };
}

function readRoutes(app: HttpApp, { engine }: RouteDeps): void {
  app.route({
    method: 'GET',
    url: '/api/jobs',
    config: { roles: ['customer', 'driver', ...READERS], isExpensive: true },
    schema: describeRoute({
      tag,
      summary: 'Jobs, newest first',
      description:
        'A customer sees his, a driver those he holds or held, an operator all. The next page is ' +
        'asked for with the `next_cursor` of this one; it is null on the last.',
      query: JobsQuery,
      answers: { 200: JobsAnswer },
    }),
    handler: async (request) => {
      const identity = identityOf(request);
      const query = request.query;
      const { sub, role } = identity;
      const filter = {
        statuses: statusesOf(query.status),
        ...(role === 'customer' && { customerId: sub }),
        ...(role === 'driver' && { driverId: sub }),
      };
      const page = shown(await engine.jobs.list(`${role}:${sub}`, filter, pageOf(query)));
      return {
        jobs: await engine.jobs.views(page.rows, readerOf(identity)),
        next_cursor: page.nextCursor,
      };
    },
  });
  app.route({
    method: 'GET',
    url: '/api/jobs/:id',
    config: { roles: ['customer', 'driver', ...READERS] },
    schema: describeRoute({
      tag,
      summary: 'One job',
      params: IdParams,
      answers: { 200: JobAnswer },
      errors: ['job_not_found'],
    }),
    handler: async (request) => {
      const identity = identityOf(request);
      const row = await readJob(engine, request.params.id, identity);
      return engine.jobs.view(row, readerOf(identity));
    },
  });
  app.route({
    method: 'GET',
    url: '/api/jobs/:id/timeline',
    config: { roles: ['customer', ...READERS], isExpensive: true },
    schema: describeRoute({
      tag,
      summary: 'What happened to a job, oldest first',
      description: 'Operators also see every attempt to push it.',
      params: IdParams,
      answers: { 200: TimelineAnswer },
      errors: ['job_not_found'],
    }),
    handler: async (request) => {
      const identity = identityOf(request);
      const { id } = await readJob(engine, request.params.id, identity);
      const [transitions, attempts] = await Promise.all([
        engine.jobs.events(id),
        readsAll(identity.role) ? engine.pushes.attemptsOf(id) : [],
      ]);
      return { events: timelineView(transitions, attempts) };
    },
  });
}

function changeRoutes(app: HttpApp, { engine }: RouteDeps): void {
  app.route({
    method: 'POST',
    url: '/api/jobs/:id/confirm',
    config: { roles: ['operator', 'service'] },
    schema: describeRoute({
      tag,
      summary: 'Confirm a job; it stays on offer',
      params: IdParams,
      body: NoBody,
      optionalBody: true,
      answers: { 200: JobAnswer },
      errors: ['job_not_found', 'invalid_transition', ...SETTLED],
    }),
    handler: async (request) => {
      const identity = identityOf(request);
      const result = await engine.jobs.confirm(request.params.id, actorOf(identity));
      return engine.jobs.view(changed(result), readerOf(identity));
    },
  });
  app.route({
    method: 'POST',
    url: '/api/jobs/:id/cancel',
    config: { roles: ['customer', 'operator'] },
    schema: describeRoute({
      tag,
      summary: 'Cancel a job that is not completed',
      description: 'The driver who holds it is told. Cancelling it again gets the same answer.',
      params: IdParams,
      body: CancelBody,
      optionalBody: true,
      answers: { 200: JobAnswer },
      errors: ['job_not_found', 'job_completed', 'job_expired'],
    }),
    handler: async (request) => {
      const identity = identityOf(request);
      const { id } = await readJob(engine, request.params.id, identity);
      const { reason } = request.body;
      const result = await engine.jobs.cancel(id, actorOf(identity), reason || null);
      return engine.jobs.view(changed(result), readerOf(identity));
    },
  });
}

const SETTLED = ['already_accepted', 'job_cancelled', 'job_expired', 'job_completed'] as const;

/** Throws `job_not_found` for somebody else's job too, so that nothing is revealed. */
async function readJob(engine: Engine, id: string, identity: Identity): Promise<JobRow> {
  const row = await engine.jobs.find(id);
  if (!row || !maySee(row, identity)) throw new ApiError('job_not_found');
  return row;
}
