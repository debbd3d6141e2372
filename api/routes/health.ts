/**
 * Calls of load balancers and Prometheus; open to anyone, so each costs no more than reading what is
 * known already.
 */
import { Type } from 'typebox';
import { createScrape } from '../../engine/process/scrape.ts';
import { ReadinessAnswer } from '../answers.ts';
import type { HttpApp, RouteDeps } from '../deps.ts';
import { describeRoute, PLAIN_TEXT } from '../document.ts';

const OK = 'ok' as const;
const FAILED = 'failed' as const;

const tag = 'health';
const Alive = Type.Object({ status: Type.Literal('ok') });

export function healthRoutes(app: HttpApp, { engine, registry, feed }: RouteDeps): void {
  const scrape = createScrape(registry);
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
    handler: async (_request, reply) => {
      const checks = { ...engine.health.state(), feed: feed.ready() ? OK : FAILED };
      const ready = Object.values(checks).every((state) => state === OK);
      return reply.code(ready ? 200 : 503).send({ status: ready ? 'ready' : 'not_ready', checks });
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
    handler: async (_request, reply) => reply.type(registry.contentType).send(await scrape()),
  });
}
