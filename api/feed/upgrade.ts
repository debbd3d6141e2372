/** The HTTP side of a WebSocket: where the token is, and how an upgrade is refused. */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Users } from '../../engine/engine.ts';
import { type Auth, bearer, type Identity, readsAll, UnauthorizedError } from '../auth.ts';
import { type HostOf, isOfHost } from '../forwarded-host.ts';
import { readCookie } from '../ops/entry.ts';

const TOKEN_PROTOCOL = 'bearer.';
const SENTENCES = {
  not_found: 'There is nothing here; the feed is at /ws',
  unauthorized: 'A valid token is needed',
  forbidden: 'There is no feed for this role, or not for this page',
  blocked: 'An operator has blocked this user',
  rate_limited: 'Too many connections, please slow down',
  try_again: 'This server cannot take a connection now',
};

type Refuse = (status: number, code: keyof typeof SENTENCES, retryAfterMs?: number) => void;

export interface Admission {
  auth: Auth;
  users: Pick<Users, 'isBlocked'>;
  hostOf: HostOf;
  /** How long this user must wait before he may connect again, ms. */
  waitMs(identity: Identity): number;
}

/** The user who asks for a connection; null when he was refused. */
export async function identify(
  request: IncomingMessage,
  { auth, users, hostOf, waitMs }: Admission,
  refuse: Refuse,
): Promise<Identity | null> {
  // Null where the URL is invalid (`GET //`), which must not throw.
  const path = URL.parse(request.url ?? '', 'http://localhost')?.pathname;
  const tokenFrom = path === undefined ? undefined : TOKENS[path];
  if (!tokenFrom) {
    refuse(404, 'not_found');
    return null;
  }
  let identity: Identity;
  try {
    identity = await auth.verify(tokenFrom(request) ?? '');
  } catch (error) {
    if (error instanceof UnauthorizedError) refuse(401, 'unauthorized');
    else refuse(503, 'try_again');
    return null;
  }
  const wait = waitMs(identity);
  if (await users.isBlocked(identity.sub)) refuse(403, 'blocked');
  else if (!mayOpen(path, identity, () => isOwnPage(request, hostOf))) refuse(403, 'forbidden');
  else if (wait > 0) refuse(429, 'rate_limited', wait);
  else return identity;
  return null;
}

/** Where the token comes from, by path. */
const TOKENS: Record<string, ((request: IncomingMessage) => string | null) | undefined> = {
  '/ws': tokenOf,
  '/ops/feed': cookieOf,
};

/** The console's feed is for roles that read everything, and for pages of this site alone. */
function mayOpen(path: string | undefined, { role }: Identity, isOwn: () => boolean): boolean {
  if (path === '/ops/feed') return readsAll(role) && isOwn();
  return role === 'driver' || role === 'customer' || readsAll(role);
}

/** A browser sends the cookie whatever page opens the socket, but it names that page's origin. */
function isOwnPage(request: IncomingMessage, hostOf: HostOf): boolean {
  const { headers } = request;
  const { origin } = headers;
  // A proxy may have changed the Host header, so the browser's own claim counts.
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin';
  const host = hostOf(request);
  return origin !== undefined && host !== undefined && isOfHost(origin, host);
}

/** Tokens have no character that a cookie must escape. */
function cookieOf({ headers }: IncomingMessage): string {
  const pairs = (headers.cookie ?? '').split(';').map((pair): [string, string] => {
    const [name = '', ...value] = pair.split('=');
    return [name.trim(), value.join('=').trim()];
  });
  return readCookie({ cookies: Object.fromEntries(pairs) });
}

/** From the `Authorization` header, or the subprotocol `bearer.<JWT>` (contract section 5). */
function tokenOf(request: IncomingMessage): string | null {
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',');
  const protocol = offered.map((p) => p.trim()).find((p) => p.startsWith(TOKEN_PROTOCOL));
  return bearer(request.headers.authorization) ?? protocol?.slice(TOKEN_PROTOCOL.length) ?? null;
}

/**
 * Answers with an HTTP error instead of switching protocols, and destroys the socket once that is
 * written: HTTP sockets may stay half open, and nothing watches this one any more.
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
