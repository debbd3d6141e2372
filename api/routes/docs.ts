/** The generated documents: OpenAPI as JSON and as pages, AsyncAPI for the feed. */
import { readFileSync } from 'node:fs';
import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { asyncApi } from '../feed/asyncapi.ts';
import { feedPage } from '../ops/feed-page.ts';

const readStatic = (name: string) =>
  readFileSync(new URL(`../ops/static/${name}`, import.meta.url), 'utf8');
const iconFile = readStatic('icon.svg');
/** The colours of all our pages, and Swagger UI's look in them. */
const LOOK = ['tokens.css', 'docs.css'];
const ICON = { filename: 'icon.svg', rel: 'icon', type: 'image/svg+xml', sizes: 'any' };

const descriptionAt = (
  base: string,
) => `Every driver nearby sees a job at once, the first to accept wins, for good.

Errors are \`{"error": "<sentence>", "code": "<stable code>"}\`, plus \`details\` or
\`retry_after_ms\` where it helps. An address that does not exist answers 404
\`not_found\`, one that does not take the method 405 \`method_not_allowed\`, with the header \`allow\`.
The live feed at \`/ws\` is described at [/asyncapi](${base}/asyncapi), for machines in \`/asyncapi.json\`.`;

/**
 * Must be registered before the routes that it describes. `base`: the path under which a proxy serves
 * everything.
 */
export async function describeApp(app: FastifyInstance, base: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Muster', description: descriptionAt(base), version: '1' },
      servers: [{ url: base || '/' }],
      components: {
        securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      },
      tags: [
        { name: 'drivers', description: 'What driver apps call' },
        { name: 'jobs', description: 'What customer apps, operators and services call' },
        { name: 'push', description: 'Phones and notifications' },
        { name: 'operators', description: 'For operators' },
        { name: 'health', description: 'For load balancers and Prometheus' },
      ],
    },
    hideUntagged: true,
    transformObject: (document) =>
      'openapiObject' in document ? allowNoBody(document.openapiObject) : document.swaggerObject,
  });
}

interface Operation {
  'x-optional-body'?: boolean;
  requestBody?: { required?: boolean };
}

/** The generator takes every body as required; this marks those that are optional. */
function allowNoBody<T extends { paths?: object }>(document: T): T {
  const paths: Record<string, Operation>[] = Object.values(document.paths ?? {});
  for (const operation of paths.flatMap((operations) => Object.values(operations))) {
    if (operation['x-optional-body'] && operation.requestBody) {
      operation.requestBody.required = false;
    }
  }
  return document;
}

/** Adds the pages; the routes must be registered already. */
export async function docsRoutes(app: FastifyInstance, base: string): Promise<void> {
  jsonOnce(app, '/openapi.json', () => app.swagger());
  jsonOnce(app, '/asyncapi.json', () => asyncApi(base));
  app.get('/asyncapi', { schema: { hide: true } }, async (_request, reply) =>
    reply.type('text/html; charset=utf-8').send(feedPage(base, asyncApi(base))),
  );
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    indexPrefix: base,
    theme: {
      title: 'Muster API',
      favicon: [{ ...ICON, content: iconFile }],
      css: LOOK.map((filename) => ({ filename, content: readStatic(filename) })),
      js: [{ filename: 'docs.js', content: readStatic('docs.js') }],
    },
    uiConfig: { docExpansion: 'list', tryItOutEnabled: false },
  });
}

/** A document that does not change while the process runs: built at the first request. */
function jsonOnce(app: FastifyInstance, path: string, document: () => object): void {
  let text: string | undefined;
  app.get(path, async (_request, reply) => {
    text ??= JSON.stringify(document());
    return reply.type('application/json; charset=utf-8').send(text);
  });
}
