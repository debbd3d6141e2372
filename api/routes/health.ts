/** What load balancers and Prometheus ask for; open to anyone. */
import { sql } from 'drizzle-orm';
import type { FastifyRequest } from 'fastify';
import type { Static } from 'typebox';
import { Type } from 'typebox';
import { withDeadline } from '../../engine/context.ts';
import type { Engine } from '../../engine/engine.ts';
import { scripts } from '../../engine/redis/scripts.ts';
import { ReadinessAnswer } from '../answers.ts';
import type { HttpApp, RouteDeps } from '../deps.ts';
import { describeRoute, PLAIN_TEXT } from '../document.ts';

/** A load balancer asks every few seconds and must not wait for what hangs. */
const CHECK_MS = 1000;

const tag = 'health';
const Alive = Type.Object({ status: Type.Literal('ok') });

export function healthRoutes(app: HttpApp, { engine, registry, feed }: RouteDeps): void {
  app.route({
    method: 'GET',
    url: '/healthz',
    schema: describeRoute({ tag, summary: 'Alive?', open: true, answers: { 200: Alive } }),
    handler: async () => ({ status: 'ok' }),
  });
  app.route({
    method: 'GET',
    url: '/readyz',
    schema: describeRoute({
      tag,
      summary: 'Ready for calls? Redis, Postgres, scripts and feed',
      open: true,
      answers: { 200: ReadinessAnswer, 503: ReadinessAnswer },
    }),
    handler: async (request, reply) => {
      const readiness = await check(engine, feed.ready(), request);
      return reply.code(readiness.status === 'ready' ? 200 : 503).send(readiness);
    },
  });
  app.route({
    method: 'GET',
    url: '/metrics',
    schema: describeRoute({
      tag,
      summary: 'For Prometheus',
      open: true,
      answers: { 200: PLAIN_TEXT },
    }),
    handler: async (_request, reply) =>
      reply.type(registry.contentType).send(await registry.metrics()),
  });
}

async function check(
  engine: Engine,
  feedReady: boolean,
  request: FastifyRequest,
): Promise<Static<typeof ReadinessAnswer>> {
  const { redis, db } = engine.ctx;
  const probe = async (name: string, work: () => Promise<unknown>) => {
    try {
      await withDeadline(work(), CHECK_MS, () => new Error(`${name} does not answer`));
      return 'ok' as const;
    } catch (error) {
      request.log.debug({ err: error, check: name }, 'not ready');
      return 'failed' as const;
    }
  };
  const [redisState, postgres, scriptState] = await Promise.all([
    probe('redis', () => redis.ping()),
    probe('postgres', () => db.execute(sql`select 1`)),
    probe('scripts', () => loadMissingScripts(engine)),
  ]);
  const feed = feedReady ? ('ok' as const) : ('failed' as const);
  const checks = { redis: redisState, postgres, scripts: scriptState, feed };
  const ready = Object.values(checks).every((state) => state === 'ok');
  return { status: ready ? 'ready' : 'not_ready', checks };
}

/** A Redis that was emptied or replaced is given the scripts; it must take every one. */
async function loadMissingScripts({ ctx: { redis } }: Engine): Promise<void> {
  const known = (await redis.script('EXISTS', ...scripts.map(({ sha }) => sha))) as number[];
  for (const [i, { name, source, sha }] of scripts.entries()) {
    if (known[i] === 1) continue;
    const loaded = await redis.script('LOAD', source);
    if (loaded !== sha) throw new Error(`Redis took another script than ${name}`);
  }
}
