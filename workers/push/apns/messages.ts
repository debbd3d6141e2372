/** A push as APNs takes it, and the answer: the headers of both. */
import http2 from 'http2-wrapper';
import type { Lane } from '../../../engine/domain/push.ts';
import { ANSWER_CUT, OTHER } from './reactions.ts';

/** One push, as APNs takes it. */
export interface ApnsPush {
  /** Device token, hex. */
  token: string;
  topic: string;
  /** JSON. */
  payload: string;
  /** At most 64 bytes; a phone shows only the newest push of an id. */
  collapseId: string;
  /** Unix seconds after which Apple need not deliver it. */
  expiration: number;
  /** A UUID in lower case. */
  apnsId: string;
  lane: Lane;
  /** If aborted while the push still waits for a stream, the push is not sent. */
  withdrawn?: AbortSignal | undefined;
}

/**
 * `never_processed` is safe to send again; `unknown` may have been delivered.
 * `uniqueId`: Apple's console finds a push that its sandbox accepted by this.
 * `timestamp`: since when a token is gone, epoch ms. `retryAfterMs`: the delay that APNs asks for.
 * With a 403: `fresh` when the session, and so its provider token, had no success yet; `apnsTime` is
 * Apple's clock, epoch ms.
 */
export type ApnsOutcome =
  | { outcome: 'sent'; uniqueId?: string }
  | {
      outcome: 'rejected';
      status: number;
      reason: string;
      timestamp?: number;
      retryAfterMs?: number;
      fresh?: boolean;
      apnsTime?: number;
    }
  | { outcome: 'never_processed'; reason: string }
  | { outcome: 'unknown'; reason: string };

const {
  HTTP2_HEADER_METHOD: METHOD,
  HTTP2_HEADER_PATH: PATH,
  HTTP2_HEADER_STATUS: STATUS,
} = http2.constants;
/** Device tokens and provider tokens stay out of the compression table (Apple asks for it). */
const SENSITIVE = { [http2.sensitiveHeaders]: [PATH, 'authorization'] };

/** Apple's ids are UUIDs of 36 characters; anything much longer is something else. */
const UNIQUE_ID_MAX = 100;

export function headersOf(push: ApnsPush, token: string): http2.OutgoingHttpHeaders {
  return {
    [METHOD]: 'POST',
    [PATH]: `/3/device/${push.token}`,
    authorization: `bearer ${token}`,
    'apns-id': push.apnsId,
    'apns-topic': push.topic,
    'apns-push-type': 'alert',
    'apns-priority': '10',
    'apns-expiration': String(push.expiration),
    'apns-collapse-id': push.collapseId,
    ...SENSITIVE,
  };
}

/** `cut`: the connection may have ended before the answer was complete. */
export function readAnswer(
  headers: http2.IncomingHttpHeaders,
  body: string,
  cut: boolean,
): ApnsOutcome {
  const status = Number(headers[STATUS]);
  if (status === 200) return { outcome: 'sent', ...readUniqueId(headers['apns-unique-id']) };
  let said: { reason?: unknown; timestamp?: unknown } = {};
  let reason = OTHER;
  try {
    said = JSON.parse(body) ?? {};
  } catch {
    // A proxy between us and Apple may answer with anything.
    if (cut) reason = ANSWER_CUT;
  }
  if (typeof said.reason === 'string') reason = said.reason;
  const apnsTime = Date.parse(String(headers.date));
  const retryAfterMs = readRetryAfter(headers['retry-after'], apnsTime || Date.now());
  return {
    outcome: 'rejected',
    status,
    reason,
    ...(typeof said.timestamp === 'number' && { timestamp: said.timestamp }),
    ...(retryAfterMs > 0 && { retryAfterMs }),
    ...(status === 403 && apnsTime > 0 && { apnsTime }),
  };
}

/** Nothing depends on it: an odd value is ignored, since the push was accepted anyway. */
function readUniqueId(said: string | string[] | undefined): { uniqueId?: string } {
  const known = typeof said === 'string' && said !== '' && said.length <= UNIQUE_ID_MAX;
  return known ? { uniqueId: said } : {};
}

/** Seconds, or a date (RFC 9110, 10.2.3) by the clock of who answers: `now` is its own. */
function readRetryAfter(said: string | undefined, now: number): number {
  if (said === undefined) return 0;
  const seconds = Number(said);
  return Number.isNaN(seconds) ? Date.parse(said) - now : seconds * 1000;
}
