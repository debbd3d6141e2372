/**
 * Answers 405 with `Allow` where a path exists but not for this method. Collects the routes as they are
 * registered, then adds refusals for the methods that each path does not take.
 */
import type { FastifyInstance, HTTPMethods } from 'fastify';
import { ApiError } from './errors.ts';

const METHODS: readonly HTTPMethods[] = [
  ...(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const),
];

/** Paths of pages that plugins bring are left to the plugins. */
const OTHERS_PAGES = /^\/(docs|ops\/queues)\/|^\/ops\/queues$/;

/** The methods that a path takes through a pattern: `/api/drivers/:id` matches `/api/drivers/location` too. */
function takenByPatterns(taken: Map<string, Set<HTTPMethods>>, url: string): HTTPMethods[] {
  const parts = url.split('/');
  return [...taken].flatMap(([pattern, methods]) => {
    const its = pattern.split('/');
    const fits = its.every((part, i) => part === parts[i] || (part.startsWith(':') && parts[i]));
    return fits && its.length === parts.length ? [...methods] : [];
  });
}

/** Call it before the routes are registered, and the function that it returns once after them. */
export function watchMethods(app: FastifyInstance): () => void {
  const taken = new Map<string, Set<HTTPMethods>>();
  let watching = true;
  app.addHook('onRoute', ({ url, method }) => {
    if (!watching || OTHERS_PAGES.test(url)) return;
    const methods = taken.get(url) ?? new Set();
    taken.set(url, methods);
    for (const one of [method].flat()) methods.add(one as HTTPMethods);
  });
  return () => {
    watching = false;
    for (const [url, own] of taken) {
      const methods = new Set([...own, ...takenByPatterns(taken, url)]);
      const others = METHODS.filter((method) => !methods.has(method));
      const allow = [...methods].join(', ');
      app.route({
        method: others,
        url,
        schema: { hide: true },
        onRequest: async (_request, reply) => {
          reply.header('allow', allow);
          throw new ApiError('method_not_allowed');
        },
        handler: () => {},
      });
    }
  };
}
