/** How one push is answered: Apple's checks, and the faults that were requested. */
import { randomUUID } from 'node:crypto';
import {
  constants,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
  sensitiveHeaders,
} from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { forbidden, learn, type Memory, memoryOf, sayGoodbye } from './connection-memory.ts';
import type { Fault, Faults } from './faults.ts';
import type { Listener } from './listener.ts';
import type { Phones } from './phones.ts';
import type { CheckToken } from './provider-auth.ts';
import type { Registry } from './registry.ts';
import { checkRequest, type PushRequest, type Refusal, readPath } from './request-check.ts';
import type { Settings } from './settings.ts';

export interface Parts {
  settings: Settings;
  checkToken: CheckToken;
  faults: Faults;
  phones: Phones;
  registry: Registry;
  listener: Listener;
  counts: Counts;
}

export interface Counts {
  /** Streams that the client cancelled. */
  given_up: number;
  /** Pushes whose path or provider token went into the compression table (Apple asks to avoid that). */
  indexed: number;
}

/** What must stay out of the compression table. */
const SECRET = [':path', 'authorization'];

/** Reads one push to its end and answers it, or does the requested fault instead. */
export async function answer(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
  parts: Parts,
): Promise<void> {
  const { session } = stream;
  const id = stream.id ?? 0;
  if (!session) return;
  const { faults, settings, counts } = parts;
  stream.once('aborted', () => counts.given_up++);
  const kept = (headers as { [sensitiveHeaders]?: string[] })[sensitiveHeaders] ?? [];
  if (!SECRET.every((name) => kept.includes(name))) counts.indexed++;
  const memory = memoryOf(session);
  const payload = await readBody(stream);
  if (id > memory.last || session.destroyed) return;
  const target = readPath(headers);
  const token = 'token' in target ? target.token : '';
  const met = faults.next(token);
  const troubles = [met.fault, met.answer].filter((fault) => fault !== undefined);
  for (const trouble of troubles) {
    if (await isOver(trouble, stream, session, parts)) return;
  }
  await takeTime(settings, memory);
  if (id > memory.last) return;
  const request = { headers, rawHeaders, payload, token };
  const refusal = 'token' in target ? await refusalOf(request, memory, troubles, parts) : target;
  if (id > memory.last) return;
  memory.answered = Math.max(memory.answered, id);
  learn(session, refusal?.status ?? 200, settings);
  const apnsId = String(headers['apns-id'] ?? randomUUID());
  record(request, apnsId, refusal, parts.phones);
  const lost = troubles.find(({ kind }) => kind === 'lose');
  if (lost) return parts.listener.end(session, lost.how);
  if (stream.destroyed || stream.closed) return;
  const reset = troubles.find(({ kind }) => kind === 'reset');
  if (reset) return stream.close(reset.code ?? constants.NGHTTP2_INTERNAL_ERROR);
  const retryAfter = troubles.find((one) => one.retryAfter !== undefined)?.retryAfter;
  stream.respond({
    ':status': refusal?.status ?? 200,
    'apns-id': apnsId,
    // For Apple's console where pushes are looked up, which production does not have.
    ...(!refusal && settings.environment === 'sandbox' && { 'apns-unique-id': randomUUID() }),
    ...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }),
  });
  const { reason, timestamp } = refusal ?? {};
  stream.end(refusal ? JSON.stringify({ reason, timestamp }) : '');
}

/** Faults before the push is processed; true when it never will be. */
async function isOver(
  trouble: Fault,
  stream: ServerHttp2Stream,
  session: Http2Session,
  { faults, listener }: Parts,
): Promise<boolean> {
  switch (trouble.kind) {
    case 'freeze':
      return true;
    case 'refuse':
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return true;
    case 'kill':
      listener.end(session, trouble.how);
      return true;
    case 'goaway':
      sayGoodbye(session, stream.id ?? 0, trouble);
      return false;
    case 'hold':
      await faults.held();
      return false;
    case 'delay':
      await sleep(trouble.ms ?? 0);
      return false;
    default:
      return false;
  }
}

/** In Apple's order; requested answers come where the phone itself would be checked. */
async function refusalOf(
  request: PushRequest,
  memory: Memory,
  troubles: readonly Fault[],
  { checkToken, settings, registry }: Parts,
): Promise<Refusal | null> {
  const { headers, token } = request;
  const asked = troubles.find(({ kind }) => kind === 'status');
  return (
    (await forbidden(checkToken, headers, memory)) ??
    checkRequest(request, settings.topics) ??
    (asked ? askedFor(asked) : null) ??
    registry.check(token, String(headers['apns-topic'])) ??
    registry.throttle(token)
  );
}

function askedFor({ status = 503, reason = 'ServiceUnavailable', timestamp }: Fault): Refusal {
  return { status, reason, ...(timestamp !== undefined && { timestamp }) };
}

function record(
  { headers, payload, token }: PushRequest,
  apnsId: string,
  refusal: Refusal | null,
  phones: Phones,
): void {
  const read = (name: string) => String(headers[name] ?? '');
  phones.add({
    at: new Date().toISOString(),
    token,
    status: refusal?.status ?? 200,
    ...(refusal && { reason: refusal.reason }),
    topic: read('apns-topic'),
    apns_id: apnsId,
    collapse_id: read('apns-collapse-id'),
    priority: read('apns-priority'),
    expiration: read('apns-expiration'),
    payload: parsed(payload),
  });
}

/** Waits for its turn on this connection, and then as long as an answer takes. */
async function takeTime({ latency, perSecond }: Settings, memory: Memory): Promise<void> {
  if (!latency && !perSecond) return;
  const now = performance.now();
  if (perSecond) memory.freeAt = Math.max(now, memory.freeAt) + 1000 / perSecond;
  const turn = perSecond ? memory.freeAt - now : 0;
  await sleep(turn + (latency ? latency.medianMs * Math.exp(latency.sigma * gaussian()) : 0));
}

/** Box and Muller's way to a normal distribution. */
function gaussian(): number {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}

async function readBody(stream: ServerHttp2Stream): Promise<string> {
  let body = '';
  stream.setEncoding('utf8');
  try {
    for await (const text of stream) body += text;
  } catch {
    // The client cancelled; there is nobody to answer.
  }
  return body;
}

function parsed(payload: string): unknown {
  try {
    return JSON.parse(payload);
  } catch {
    return payload;
  }
}
