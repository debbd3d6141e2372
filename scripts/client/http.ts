/**
 * HTTP calls to a deployment: JSON in, JSON out, one deadline, connections kept open. Calls never
 * queue in the client, which would hide how long its user waits. A refusal is a value with its
 * status; only a call that got no answer throws.
 */
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

const TIMEOUT_MS = 15_000;
/** The largest answer is a timeline: a few hundred bytes for each of some thousand attempts. */
const ANSWER_MAX_BYTES = 32 * 1024 * 1024;

const httpAgent = new HttpAgent({ keepAlive: true });
const httpsAgent = new HttpsAgent({ keepAlive: true });

export interface Call {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Begins with a slash. */
  path: string;
  body?: object;
  token?: string;
  /** Makes a POST safe to repeat (contract section 4). */
  idempotencyKey?: string;
  timeoutMs?: number;
}

export interface Answer {
  status: number;
  /** Parsed JSON, null for an empty answer, the text for anything else. */
  body: unknown;
}

/**
 * One call. Throws when no complete answer arrived in time; the server may have acted anyway.
 */
export async function callHttp(url: string, call: Call): Promise<Answer> {
  try {
    return await send(url, call);
  } catch (error) {
    // The server closed a kept connection meanwhile: repeat the call if it may be repeated.
    const repeatable = call.method !== 'POST' || call.idempotencyKey !== undefined;
    if (repeatable && (error as NodeJS.ErrnoException).code === 'ECONNRESET') {
      return send(url, call);
    }
    throw error;
  }
}

/** The stable code of a refusal (contract section 4), or the status where there is none. */
export function codeOf(answer: Answer): string {
  const { body, status } = answer;
  if (typeof body === 'object' && body !== null && 'code' in body) return String(body.code);
  return `http_${status}`;
}

/** A path below the base URL, which may have a path of its own. */
export function urlOf(base: string, path: string): URL {
  return new URL(base.replace(/\/+$/, '') + path);
}

function send(url: string, call: Call): Promise<Answer> {
  const target = urlOf(url, call.path);
  const secure = target.protocol === 'https:';
  const payload = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body));
  return new Promise((resolve, reject) => {
    const request = (secure ? httpsRequest : httpRequest)(target, {
      method: call.method,
      agent: secure ? httpsAgent : httpAgent,
      headers: {
        ...(call.token && { authorization: `Bearer ${call.token}` }),
        ...(payload && { 'content-type': 'application/json', 'content-length': payload.length }),
        ...(call.idempotencyKey && { 'idempotency-key': call.idempotencyKey }),
      },
    });
    const timeoutMs = call.timeoutMs ?? TIMEOUT_MS;
    const deadline = setTimeout(() => {
      request.destroy(new Error(`no answer to ${call.method} ${call.path} in ${timeoutMs} ms`));
    }, timeoutMs);
    request.on('close', () => clearTimeout(deadline));
    request.on('error', reject);
    request.on('response', (response) => {
      readAll(response).then(
        (text) => resolve({ status: response.statusCode ?? 0, body: parse(text) }),
        reject,
      );
    });
    request.end(payload);
  });
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    bytes += (chunk as Buffer).length;
    if (bytes > ANSWER_MAX_BYTES) throw new Error(`the answer exceeds ${ANSWER_MAX_BYTES} bytes`);
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString();
}

function parse(text: string): unknown {
  if (text === '') return null;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
