/**
 * The feed protocol as a client sees it: frames, close codes, limits. Contract sections 4 and 5.
 * The shapes of jobs and their statuses are the engine's own; everything else of the wire is here.
 * Used by both clients and by nothing on the server, which validates with its own schemas.
 */
import type { DriverCard, Job, JobStatus } from '../../engine/domain/job.ts';

export { CLOSE, isTerminalClose } from '../../engine/domain/close-codes.ts';
export type { DriverCard, Job, JobStatus };

export const SUBPROTOCOL = 'muster.v1';

/** What the server sends, event name to data. */
export interface ServerEvents {
  hello: { session_id: string; heartbeat_s: number; server_time: string };
  'feed:snapshot': { jobs: Job[]; reason: string };
  'feed:degraded': { since: string };
  'feed:live': { since: string };
  'job:new': Job;
  'job:status': JobStatusChange;
  'job:removed': { job_id: string; version: number; reason: string };
  'job:driver-assigned': { job_id: string; driver: DriverCard };
  'driver:location': DriverLocation;
  notification: FeedNotification;
  ack: Ack;
  error: { code: string; message: string; retry_after_ms?: number };
}

export interface JobStatusChange {
  job_id: string;
  status: JobStatus;
  version: number;
  driver_id?: string | null;
}

export interface DriverLocation {
  job_id: string;
  lat: number;
  lng: number;
  heading: number | null;
  recorded_at: string;
}

export interface FeedNotification {
  id: string;
  type: string;
  title: string;
  body: string;
  data: unknown;
}

/** The answer to a frame that carried `ref`; for `accept`, `data` is the HTTP body. */
export interface Ack {
  ref: string;
  ok: boolean;
  code?: string;
  data?: unknown;
}

export type ServerFrame = {
  [E in keyof ServerEvents]: { event: E; data: ServerEvents[E] };
}[keyof ServerEvents];

/** A fix of the phone; times are RFC 3339, speeds metres per second, accuracy metres. */
export interface Fix {
  lat: number;
  lng: number;
  heading?: number;
  speed?: number;
  accuracy_m?: number;
  recorded_at?: string;
}

export interface ClientEvents {
  location: Fix;
  availability: { online: boolean };
  accept: { job_id: string };
  decline: { job_id: string; reason?: string };
  auth: { token: string };
  heartbeat: Record<string, never>;
}

/**
 * A frame from the server, or null for bytes that are none. The server's data is trusted as typed.
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

/** Refusals that promise nothing and say: ask again (contract section 4). */
export function isRetryable(code: string | undefined): boolean {
  return code === 'try_again' || code === 'rate_limited';
}

/** `retry_after_ms` of an error body or of an ack's data, in milliseconds. */
export function retryAfterMs(body: unknown): number | undefined {
  if (typeof body !== 'object' || body === null || !('retry_after_ms' in body)) return undefined;
  return typeof body.retry_after_ms === 'number' ? body.retry_after_ms : undefined;
}
