/**
 * The feed protocol as a client sees it: frames, close codes, limits. Contract sections 4 and 5.
 * The shapes are those that the server checks and documents, as types only.
 * Used by both clients and by nothing on the server.
 */
import type { ClientEvents } from '../../api/feed/client-frames.ts';
import type { ServerEvents } from '../../api/feed/server-frames.ts';
import type { DriverCard, Job, JobStatus } from '../../engine/domain/job.ts';

export { CLOSE, isTerminalClose } from '../../engine/domain/close-codes.ts';
export type { DriverCard, Job, JobStatus };

export const SUBPROTOCOL = 'muster.v1';

export type { ClientEvents, ServerEvents };
export type JobStatusChange = ServerEvents['job:status'];
export type DriverLocation = ServerEvents['driver:location'];
export type FeedNotification = ServerEvents['notification'];
/** The answer to a frame that carried `ref`; for `accept`, `data` is the HTTP body. */
export type Ack = ServerEvents['ack'];
/** A fix of the phone; times are RFC 3339, speeds metres per second, accuracy metres. */
export type Fix = ClientEvents['location'];

export type ServerFrame = {
  [E in keyof ServerEvents]: { event: E; data: ServerEvents[E] };
}[keyof ServerEvents];

/**
 * A frame from the server, or null for other bytes. The server's data is trusted as typed.
 */
export function parseFrame(text: string): ServerFrame | null {
  try {
    const frame: unknown = JSON.parse(text);
    if (typeof frame !== 'object' || frame === null || !('event' in frame)) return null;
    return typeof frame.event === 'string' && 'data' in frame ? (frame as ServerFrame) : null;
  } catch {
    return null;
  }
}

/** The bytes of a client frame; with `ref` the server answers with an `ack`. */
export function encodeFrame<E extends keyof ClientEvents>(
  event: E,
  data: ClientEvents[E],
  ref?: string,
): string {
  return JSON.stringify(ref === undefined ? { event, data } : { event, data, ref });
}

/** Without a code of ours: a proxy that did not reach the server, or got no answer from it in time. */
const OF_A_PROXY = /^http_(408|429|5\d\d)$/;

/** Refusals that promise nothing (contract section 4): what the server did, if anything, is not known. */
export function isRetryable(code: string | undefined): boolean {
  return code === 'try_again' || code === 'rate_limited' || OF_A_PROXY.test(code ?? '');
}

/** `retry_after_ms` of an error body or of an ack's data, in milliseconds. */
export function retryAfterMs(body: unknown): number | undefined {
  if (typeof body !== 'object' || body === null || !('retry_after_ms' in body)) return undefined;
  return typeof body.retry_after_ms === 'number' ? body.retry_after_ms : undefined;
}
