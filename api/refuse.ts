/**
 * Answers every error of the HTTP side in the one shape of the contract, and logs what an operator
 * should know: bugs as errors, stores that are away once a second, and callers' mistakes at level
 * debug.
 */

import type { Socket } from 'node:net';
import type { FastifyBaseLogger, FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { ApiError, ERRORS, errorBody, toApiError } from './errors.ts';
import { asksForHtml, errorPage } from './ops/page.ts';

/** An outage fails every call; one line a second is enough. */
const OUTAGE_LOG_MS = 1000;

/** Fastify's own refusals, in our words. */
const FASTIFY_CODES: Record<string, ConstructorParameters<typeof ApiError>[0]> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'bad_request',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'invalid_json',
  FST_ERR_BAD_URL: 'not_found',
  FST_ERR_MAX_PARAM_LENGTH: 'not_found',
  FST_ERR_NOT_FOUND: 'not_found',
};

export type Refuse = (error: unknown, request: FastifyRequest, reply: FastifyReply) => void;

/** `base`: the path under which a proxy serves everything. */
export function createRefuse(base: string): Refuse {
  let outageLoggedAt = 0;
  return (error, request, reply) => {
    const refusal = refusalOf(error, request);
    const facts = { method: request.method, route: request.routeOptions.url, code: refusal.code };
    const { log } = request;
    if (refusal.code === 'internal') {
      log.error({ ...facts, err: error }, 'a call failed');
    } else if (refusal.code === 'try_again' && Date.now() - outageLoggedAt >= OUTAGE_LOG_MS) {
      outageLoggedAt = Date.now();
      log.warn({ ...facts, err: error }, 'a call could not be answered');
    } else {
      log.debug(facts, 'refused');
    }
    if (isForPeople(request)) sendPage(reply, refusal, base);
    else send(reply, refusal);
  };
}

/** Somebody opened a URL in a browser; under `/api` answers are for programs anyway. */
function isForPeople(request: FastifyRequest): boolean {
  return asksForHtml(request) && !request.url.startsWith('/api/');
}

function sendPage(reply: FastifyReply, refusal: ApiError, base: string): void {
  const page = errorPage(base, refusal.message, refusal.code);
  reply.code(refusal.status).type('text/html; charset=utf-8').send(page);
}

/** Sends a refusal with the headers that belong to it. */
export function send(reply: FastifyReply, refusal: ApiError): void {
  if (refusal.code === 'unauthorized') reply.header('www-authenticate', 'Bearer');
  if (refusal.retryAfterMs !== undefined) {
    reply.header('retry-after', Math.ceil(refusal.retryAfterMs / 1000));
  }
  reply.code(refusal.status).type('application/json; charset=utf-8').send(errorBody(refusal));
}

/** Answers bytes that are not HTTP, for which Fastify has no request. */
export function refuseClient(this: { log: FastifyBaseLogger }, error: Error, socket: Socket): void {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ECONNRESET' || socket.destroyed) return;
  this.log.debug({ code }, 'not HTTP');
  const status = code === 'HPE_HEADER_OVERFLOW' ? '431 Request Header Fields Too Large' : null;
  const body = JSON.stringify({ error: ERRORS.bad_request[1], code: 'bad_request' });
  if (socket.writable) {
    socket.write(
      [
        `HTTP/1.1 ${status ?? '400 Bad Request'}`,
        'Connection: close',
        'Content-Type: application/json; charset=utf-8',
        `Content-Length: ${Buffer.byteLength(body)}`,
        '',
        body,
      ].join('\r\n'),
    );
  }
  socket.destroy(error);
}

function refusalOf(error: unknown, { raw }: FastifyRequest): ApiError {
  // The client hung up in the middle of its body: no store failed, and nobody listens.
  if (raw.destroyed && !raw.complete) return new ApiError('bad_request');
  return fromFastify(error) ?? toApiError(error);
}

function fromFastify(error: unknown): ApiError | null {
  const { code, statusCode } = error as Partial<FastifyError>;
  if (typeof code !== 'string' || !code.startsWith('FST_')) return null;
  const known = FASTIFY_CODES[code];
  if (known) return new ApiError(known);
  if (statusCode === 503) return new ApiError('try_again', { retryAfterMs: 1000 });
  return statusCode !== undefined && statusCode < 500 ? new ApiError('bad_request') : null;
}
