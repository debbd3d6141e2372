/** What Apple refuses about a request itself, in Apple's words and order. */
import type { IncomingHttpHeaders } from 'node:http2';

export interface Refusal {
  status: number;
  reason: string;
  timestamp?: number;
}

const PAYLOAD_MAX_BYTES = 4096;
const COLLAPSE_ID_MAX_BYTES = 64;
const PUSH_TYPES = ['alert', 'background', 'location', 'voip', 'liveactivity'];
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const TOKEN_PATH = /^\/3\/device\/([^/]*)$/;

const bad = (reason: string): Refusal => ({ status: 400, reason });

/** The device token of the path, or the refusal. */
export function readPath(headers: IncomingHttpHeaders): { token: string } | Refusal {
  if (headers[':method'] !== 'POST') return { status: 405, reason: 'MethodNotAllowed' };
  const token = TOKEN_PATH.exec(headers[':path'] ?? '')?.[1];
  if (token === undefined) return { status: 404, reason: 'BadPath' };
  if (token === '') return bad('MissingDeviceToken');
  return { token };
}

/** Null when headers and payload are as they should be. */
export function checkRequest(
  headers: IncomingHttpHeaders,
  payload: string,
  token: string,
): Refusal | null {
  const read = (name: string) => headers[name] as string | undefined;
  const [id, expiration, priority] = ['apns-id', 'apns-expiration', 'apns-priority'].map(read);
  if (id !== undefined && !UUID.test(id)) return bad('BadMessageId');
  if (expiration !== undefined && !/^\d+$/.test(expiration)) return bad('BadExpirationDate');
  if (priority !== undefined && !['1', '5', '10'].includes(priority)) return bad('BadPriority');
  const collapseId = read('apns-collapse-id') ?? '';
  if (Buffer.byteLength(collapseId) > COLLAPSE_ID_MAX_BYTES) return bad('BadCollapseId');
  if (!PUSH_TYPES.includes(read('apns-push-type') ?? 'alert')) return bad('InvalidPushType');
  if (!read('apns-topic')) return bad('MissingTopic');
  if (payload === '') return bad('PayloadEmpty');
  if (Buffer.byteLength(payload) > PAYLOAD_MAX_BYTES) {
    return { status: 413, reason: 'PayloadTooLarge' };
  }
  if (!/^[0-9a-fA-F]{16,200}$/.test(token)) return bad('BadDeviceToken');
  return null;
}
