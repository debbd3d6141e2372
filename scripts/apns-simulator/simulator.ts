/**
 * APNs for development and tests: HTTP/2 over TLS, verified provider tokens, Apple's checks and
 * answers, one stream until the first success as Apple has it. Its control API sets faults and
 * tells what arrived.
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import {
  constants,
  createSecureServer,
  type Http2SecureServer,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeCertificate } from './certificate.ts';
import { controlHandler } from './control.ts';
import { createFaults, type Fault, type Faults } from './faults.ts';
import { createPhones, type Phones } from './phones.ts';
import { type CheckToken, createTokenCheck } from './provider-auth.ts';
import { checkRequest, type Refusal, readPath } from './request-check.ts';
import { readOrMakeKey } from './signing-key.ts';

export interface SimulatorOptions {
  /** Keys, certificate and push log are kept here. */
  dir: string;
  port?: number;
}

export interface Simulator {
  url: string;
  controlUrl: string;
  caFile: string;
  keyFile: string;
  keyId: string;
  teamId: string;
  pushLog: string;
  faults: Faults;
  phones: Phones;
  connections: Connections;
  close(): Promise<void>;
}

/** How many were opened so far, and how many are open now. */
export interface Connections {
  (): number;
  open(): number;
}

/** Apple's own, once a connection has proven itself. */
const STREAMS_MAX = 1000;
/** A connection may change its provider token after this, not before. */
const TOKEN_AGE_MIN_MS = 20 * 60_000;
/** Of a first goodbye, before the true last stream is known (RFC 9113, 6.8). */
const ANY_STREAM = 2 ** 31 - 1;

/** What Apple remembers of a connection. */
interface Memory {
  /** It has been opened up. */
  proven: boolean;
  authorization: string | undefined;
  tokenSince: number;
  /** A connection whose token expired takes no other (seen by users of pushy). */
  wedged: boolean;
  /** The highest stream that was answered. */
  answered: number;
  /** Streams above it are not looked at. */
  last: number;
}
const memories = new WeakMap<Http2Session, Memory>();
function memoryOf(session: Http2Session): Memory {
  const known = memories.get(session);
  if (known) return known;
  const fresh: Memory = {
    proven: false,
    authorization: undefined,
    tokenSince: 0,
    wedged: false,
    answered: 0,
    last: ANY_STREAM,
  };
  memories.set(session, fresh);
  return fresh;
}
const GOAWAY_REASON = Buffer.from('{"reason":"Shutdown"}');

/** Starts on 127.0.0.1; resolves when it listens. */
export async function startSimulator({ dir, port = 0 }: SimulatorOptions): Promise<Simulator> {
  mkdirSync(dir, { recursive: true });
  const key = readOrMakeKey(dir);
  const { cert, ...tls } = readOrMakeCertificate(dir);
  const pushLog = path.join(dir, 'pushes.jsonl');
  const [faults, phones] = [createFaults(), createPhones(pushLog)];
  const checkToken = createTokenCheck(key);
  const sessions = new Set<ServerHttp2Session>();
  let opened = 0;
  const server = createSecureServer({
    cert,
    key: tls.key,
    minVersion: 'TLSv1.2',
    settings: { maxConcurrentStreams: 1 },
  });
  server.on('session', (session) => {
    sessions.add(session);
    opened++;
    session.on('close', () => sessions.delete(session));
    session.on('error', () => {});
  });
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {});
    void answer(stream, headers, { checkToken, faults, phones });
  });
  const connections = Object.assign(() => opened, { open: () => sessions.size });
  const control = createServer(controlHandler({ faults, phones, connections }));
  const [apnsPort, controlPort] = [await listen(server, port), await listen(control, 0)];
  return {
    // A name, not an address: TLS knows no server name that is one (RFC 6066).
    url: `https://localhost:${apnsPort}`,
    controlUrl: `http://127.0.0.1:${controlPort}`,
    caFile: tls.caFile,
    keyFile: key.keyFile,
    keyId: key.keyId,
    teamId: key.teamId,
    pushLog,
    faults,
    phones,
    connections,
    async close() {
      for (const session of sessions) session.destroy();
      server.close();
      control.closeAllConnections();
      control.close();
      phones.close();
    },
  };
}

interface Parts {
  checkToken: CheckToken;
  faults: Faults;
  phones: Phones;
}

async function answer(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  { checkToken, faults, phones }: Parts,
): Promise<void> {
  const { session } = stream;
  const id = stream.id ?? 0;
  if (!session) return;
  const memory = memoryOf(session);
  const payload = await readBody(stream);
  if (id > memory.last || session.destroyed) return;
  const fault = faults.next();
  if (fault?.kind === 'freeze') return;
  if (fault?.kind === 'refuse') return stream.close(constants.NGHTTP2_REFUSED_STREAM);
  if (fault?.kind === 'kill') return session.destroy();
  if (fault?.kind === 'goaway') sayGoodbye(session, id, fault);
  if (fault?.kind === 'delay') {
    await sleep(fault.ms ?? 0);
    if (id > memory.last) return;
  }
  const apnsId = String(headers['apns-id'] ?? randomUUID());
  const target = readPath(headers);
  const token = 'token' in target ? target.token : '';
  let refusal: Refusal | null = 'token' in target ? null : target;
  refusal ??= await forbidden(checkToken, headers, memory);
  refusal ??= checkRequest(headers, payload, token);
  if (!refusal && fault?.kind === 'status') {
    refusal = { status: fault.status ?? 503, reason: fault.reason ?? 'ServiceUnavailable' };
  }
  refusal ??= faults.answerFor(token) ?? null;
  if (id > memory.last) return;
  memory.answered = Math.max(memory.answered, id);
  if (!refusal) prove(session, memory);
  const status = refusal?.status ?? 200;
  phones.add({
    at: new Date().toISOString(),
    token,
    status,
    ...(refusal && { reason: refusal.reason }),
    topic: String(headers['apns-topic'] ?? ''),
    apns_id: apnsId,
    collapse_id: String(headers['apns-collapse-id'] ?? ''),
    priority: String(headers['apns-priority'] ?? ''),
    expiration: String(headers['apns-expiration'] ?? ''),
    payload: parsed(payload),
  });
  if (fault?.kind === 'lose') return session.destroy();
  if (stream.destroyed || stream.closed) return;
  stream.respond({
    ':status': status,
    'apns-id': apnsId,
    ...(fault?.retryAfter !== undefined && { 'retry-after': String(fault.retryAfter) }),
  });
  const { reason, timestamp } = refusal ?? {};
  stream.end(refusal ? JSON.stringify({ reason, timestamp }) : '');
}

/** What was answered is not denied; what came after it is not looked at. */
function sayGoodbye(session: Http2Session, id: number, { code = 0, twice = false }: Fault): void {
  const memory = memoryOf(session);
  memory.last = Math.min(memory.last, Math.max(id, memory.answered));
  if (twice) session.goaway(0, ANY_STREAM, GOAWAY_REASON);
  session.goaway(code, memory.last, GOAWAY_REASON);
}

/** The first success on a connection opens it up. */
function prove(session: Http2Session, memory: Memory): void {
  if (memory.proven) return;
  memory.proven = true;
  if (!session.destroyed) session.settings({ maxConcurrentStreams: STREAMS_MAX });
}

async function forbidden(
  check: CheckToken,
  { authorization }: IncomingHttpHeaders,
  memory: Memory,
): Promise<Refusal | null> {
  const reason = memory.wedged ? 'ExpiredProviderToken' : await check(authorization);
  if (reason === 'ExpiredProviderToken') memory.wedged = true;
  if (reason !== null) return { status: 403, reason };
  if (memory.authorization === authorization) return null;
  const young = Date.now() - memory.tokenSince < TOKEN_AGE_MIN_MS;
  if (memory.authorization !== undefined && young) {
    return { status: 429, reason: 'TooManyProviderTokenUpdates' };
  }
  memory.authorization = authorization;
  memory.tokenSince = Date.now();
  return null;
}

async function readBody(stream: ServerHttp2Stream): Promise<string> {
  let body = '';
  stream.setEncoding('utf8');
  try {
    for await (const text of stream) body += text;
  } catch {
    // The client gave up; there is nobody to answer.
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

/** Kept, so that clients which trust it need not be told again. */
function readOrMakeCertificate(dir: string): { cert: string; key: string; caFile: string } {
  const [caFile, keyFile] = [path.join(dir, 'ca.pem'), path.join(dir, 'tls-key.pem')];
  try {
    const [cert, key] = [readFileSync(caFile, 'utf8'), readFileSync(keyFile, 'utf8')];
    return { cert, key, caFile };
  } catch {
    const made = makeCertificate();
    writeFileSync(keyFile, made.key, { mode: 0o600 });
    writeFileSync(caFile, made.cert);
    return { ...made, caFile };
  }
}

function listen(server: Server | Http2SecureServer, port: number): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  server.once('error', reject);
  server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  return promise;
}
