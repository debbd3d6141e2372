/**
 * Reads bodies: strict JSON in strict UTF-8, nothing else. An empty body, or `null` where a body is
 * optional, is no body; the route's schema says whether that is allowed. `__proto__` and the like are
 * ordinary unknown fields.
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyInstance, FastifySchemaCompiler } from 'fastify';
import type { TSchema } from 'typebox';
import { ApiError, invalid } from './errors.ts';
import { convertQuery, validate } from './validate.ts';

/** Contract section 4. */
export const BODY_MAX = 16 * 1024;

/** Sets how an app reads bodies and checks what it has read. */
export function readBodiesStrictly(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    try {
      done(null, parse(body as Buffer));
    } catch {
      done(new ApiError('invalid_json'));
    }
  });
  app.setValidatorCompiler(compileValidator);
  // Some clients name a content type even without a body: `curl -d ''` sends a form's.
  app.addHook('onRequest', async ({ headers }) => {
    if (!announcesBody(headers)) delete headers['content-type'];
  });
  app.addHook('preValidation', async (request) => {
    const optional = request.routeOptions.schema?.['x-optional-body'];
    if (optional && (request.body ?? null) === null) request.body = {};
  });
}

/** A request without either header has no body (RFC 9112, section 6.3). */
function announcesBody(headers: IncomingHttpHeaders): boolean {
  return headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
}

function parse(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body));
}

const compileValidator: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  return (given: unknown) => {
    const value = httpPart === 'querystring' ? convertQuery(schema, given as object) : given;
    const broken = validate(schema, value);
    return broken.length > 0 ? { error: invalid(broken) } : { value };
  };
};
