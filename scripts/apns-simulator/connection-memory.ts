/** What Apple remembers of a connection, and what it does to the connection as a whole. */
import type { Http2Session, IncomingHttpHeaders } from 'node:http2';
import type { Fault } from './faults.ts';
import type { CheckToken } from './provider-auth.ts';
import type { Refusal } from './request-check.ts';
import type { Settings } from './settings.ts';

/** Apple's limit, once a connection has had a success. */
const STREAMS_MAX = 1000;
/** How soon a connection may change its provider token. */
const TOKEN_AGE_MIN_MS = 20 * 60_000;
/** The last stream in a first GOAWAY, before the true one is known (RFC 9113, 6.8). */
const ANY_STREAM = 2 ** 31 - 1;
const GOAWAY_REASON = Buffer.from('{"reason":"Shutdown"}');

export interface Memory {
  /** How many streams the client was last told it may use. */
  streams: number;
  /** The new number, while the change is not acknowledged yet. */
  wanted: number;
  telling: boolean;
  authorization: string | undefined;
  tokenSince: number;
  /** The key and team of its first good token. */
  provider: { keyId: string; teamId: string } | undefined;
  /** A connection whose token expired takes no other (seen by users of pushy). */
  wedged: boolean;
  /** The highest stream that was answered. */
  answered: number;
  /** Streams above it are not looked at. */
  last: number;
  /** When the next push gets through, if connections have a rate limit. */
  freeAt: number;
}

const memories = new WeakMap<Http2Session, Memory>();

export function memoryOf(session: Http2Session): Memory {
  const known = memories.get(session);
  if (known) return known;
  const fresh: Memory = {
    streams: 1,
    wanted: 1,
    telling: false,
    authorization: undefined,
    tokenSince: 0,
    provider: undefined,
    wedged: false,
    answered: 0,
    last: ANY_STREAM,
    freeAt: 0,
  };
  memories.set(session, fresh);
  return fresh;
}

/**
 * The first success on a connection allows all streams; a refusal limits it to one until the next
 * success. A phone that is gone is no refusal (Apple says so of 410).
 */
export function learn(session: Http2Session, status: number, { collapse }: Settings): void {
  const memory = memoryOf(session);
  if (status === 200) memory.wanted = STREAMS_MAX;
  else if (collapse && status >= 400 && status < 500 && status !== 410) memory.wanted = 1;
  tell(session, memory);
}

/** One change at a time: Node ends a session that has too many of them unacknowledged. */
function tell(session: Http2Session, memory: Memory): void {
  if (memory.telling || session.destroyed || memory.streams === memory.wanted) return;
  memory.telling = true;
  memory.streams = memory.wanted;
  session.settings({ maxConcurrentStreams: memory.wanted }, () => {
    memory.telling = false;
    tell(session, memory);
  });
}

/** Streams that were answered stay so; later ones are not processed. */
export function sayGoodbye(
  session: Http2Session,
  id: number,
  { code = 0, twice = false }: Fault,
): void {
  const memory = memoryOf(session);
  memory.last = Math.min(memory.last, Math.max(id, memory.answered));
  if (twice) session.goaway(0, ANY_STREAM, GOAWAY_REASON);
  session.goaway(code, memory.last, GOAWAY_REASON);
}

/** Null when the provider token is good for this connection, else the reason. */
export async function forbidden(
  check: CheckToken,
  { authorization }: IncomingHttpHeaders,
  memory: Memory,
): Promise<Refusal | null> {
  const checked = memory.wedged ? { reason: 'ExpiredProviderToken' } : await check(authorization);
  if ('reason' in checked) {
    if (checked.reason === 'ExpiredProviderToken') memory.wedged = true;
    return { status: 403, reason: checked.reason };
  }
  const { keyId, teamId } = checked;
  memory.provider ??= checked;
  if (memory.provider.teamId !== teamId) return { status: 403, reason: 'InvalidProviderToken' };
  if (memory.provider.keyId !== keyId) return { status: 403, reason: 'UnrelatedKeyIdInToken' };
  if (memory.authorization === authorization) return null;
  const young = Date.now() - memory.tokenSince < TOKEN_AGE_MIN_MS;
  if (memory.authorization !== undefined && young) {
    return { status: 429, reason: 'TooManyProviderTokenUpdates' };
  }
  memory.authorization = authorization;
  memory.tokenSince = Date.now();
  return null;
}
