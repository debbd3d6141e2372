/** What Apple refuses about a request itself, in Apple's words and order. */
import type { IncomingHttpHeaders } from 'node:http2';

export interface Refusal {
  status: number;
  reason: string;
  timestamp?: number;
}

export interface PushRequest {
  headers: IncomingHttpHeaders;
  /** Names and values alternating, as received. */
  rawHeaders: readonly string[];
  payload: string;
  token: string;
}

const PAYLOAD_MAX_BYTES = 4096;
const VOIP_PAYLOAD_MAX_BYTES = 5120;
const COLLAPSE_ID_MAX_BYTES = 64;
/** The suffix of the topic for each push type, after the bundle id. */
const TOPIC_ENDS: Record<string, string> = {
  alert: '',
  background: '',
  location: '.location-query',
  voip: '.voip',
  complication: '.complication',
  fileprovider: '.pushkit.fileprovider',
  mdm: '',
  liveactivity: '.push-type.liveactivity',
  pushtotalk: '.voip-ptt',
};
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

/** Null when headers and payload are valid, else the refusal. */
export function checkRequest(
  { headers, rawHeaders, payload, token }: PushRequest,
  topics: readonly string[] | null,
): Refusal | null {
  const read = (name: string) => headers[name] as string | undefined;
  if (hasDuplicates(rawHeaders)) return bad('DuplicateHeaders');
  const [id, expiration, priority] = ['apns-id', 'apns-expiration', 'apns-priority'].map(read);
  const type = read('apns-push-type') ?? 'alert';
  if (id !== undefined && !UUID.test(id)) return bad('BadMessageId');
  if (expiration !== undefined && !/^\d+$/.test(expiration)) return bad('BadExpirationDate');
  if (priority !== undefined && !['1', '5', '10'].includes(priority)) return bad('BadPriority');
  if (type === 'background' && priority === '10') return bad('BadPriority');
  const collapseId = read('apns-collapse-id') ?? '';
  if (Buffer.byteLength(collapseId) > COLLAPSE_ID_MAX_BYTES) return bad('BadCollapseId');
  const topicEnd = Object.hasOwn(TOPIC_ENDS, type) ? TOPIC_ENDS[type] : undefined;
  if (topicEnd === undefined) return bad('InvalidPushType');
  const topic = read('apns-topic');
  if (!topic) return bad('MissingTopic');
  if (!topic.endsWith(topicEnd)) return bad('BadTopic');
  if (topics && !topics.includes(topic)) return bad('TopicDisallowed');
  if (payload === '') return bad('PayloadEmpty');
  const max = type === 'voip' ? VOIP_PAYLOAD_MAX_BYTES : PAYLOAD_MAX_BYTES;
  if (Buffer.byteLength(payload) > max) return { status: 413, reason: 'PayloadTooLarge' };
  // Apple has no reason of its own for invalid JSON.
  if (!isObject(payload)) return bad('PayloadEmpty');
  if (!/^[0-9a-fA-F]{16,200}$/.test(token)) return bad('BadDeviceToken');
  return null;
}

function hasDuplicates(rawHeaders: readonly string[]): boolean {
  const names = rawHeaders.filter((_, i) => i % 2 === 0);
  return new Set(names).size < names.length;
}

function isObject(payload: string): boolean {
  try {
    const value: unknown = JSON.parse(payload);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
