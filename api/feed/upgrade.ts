/** The HTTP side of a WebSocket: where the token is, and how an upgrade is refused. */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { bearer } from '../auth.ts';

const TOKEN_PROTOCOL = 'bearer.';
const SENTENCES = {
  not_found: 'There is nothing here; the feed is at /ws',
  unauthorized: 'A valid token is needed',
  forbidden: 'The feed is for drivers and customers',
  blocked: 'An operator has blocked this user',
  rate_limited: 'Too many connections, please slow down',
  try_again: 'This server cannot take a connection now',
};

/** From the `Authorization` header, or the subprotocol `bearer.<JWT>` (contract section 5). */
export function tokenOf(request: IncomingMessage): string | null {
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',');
  const protocol = offered.map((p) => p.trim()).find((p) => p.startsWith(TOKEN_PROTOCOL));
  return bearer(request.headers.authorization) ?? protocol?.slice(TOKEN_PROTOCOL.length) ?? null;
}

/**
 * Answers with an HTTP error instead of switching protocols, and lets go of the socket once that
 * is written: HTTP sockets may stay half open, and this one has nobody left who watches it.
 */
export function refuseUpgrade(
  socket: Duplex,
  status: number,
  code: keyof typeof SENTENCES,
  retryAfterMs?: number,
): void {
  const retry = retryAfterMs !== undefined && { retry_after_ms: retryAfterMs };
  const body = JSON.stringify({ error: SENTENCES[code], code, ...retry });
  socket.once('finish', () => socket.destroy());
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      'Connection: close',
      ...(retryAfterMs === undefined ? [] : [`Retry-After: ${Math.ceil(retryAfterMs / 1000)}`]),
      'Content-Type: application/json; charset=utf-8',
      `Content-Length: ${Buffer.byteLength(body)}`,
      '',
      body,
    ].join('\r\n'),
  );
}
