/**
 * One connection to APNs on `http2-wrapper`, kept open and replaced when it fails. It knows how many
 * streams it may use, notices when the other side is gone, and says of each push what surely
 * happened. The rules below are those under which the library loses nothing:
 * `agent.request` (`http2.request` resets every stream), `maxSessions` left infinite (a limit closes
 * connections that fall idle), sessions marked on GOAWAY (the agent would use them again), and a
 * verdict only when the stream is closed.
 */
import http2, { Agent } from 'http2-wrapper';
import type { Logger } from '../../../engine/context.ts';
import { withDeadline } from '../../../engine/context.ts';
import { type ProviderKey, ProviderToken } from './provider-token.ts';

type Session = http2.ClientHttp2Session;
type Stream = http2.ClientHttp2Stream;

/** One push, as APNs takes it. */
export interface ApnsPush {
  /** Device token, hex. */
  token: string;
  topic: string;
  /** JSON. */
  payload: string;
  /** At most 64 bytes; a phone shows the newest with one id. */
  collapseId: string;
  /** Unix seconds after which Apple need not deliver it. */
  expiration: number;
  /** A UUID in lower case. */
  apnsId: string;
  lane: 'critical' | 'nearby';
}

/**
 * `never_processed` is safe to send again; `unknown` may have been delivered.
 * `timestamp`: since when a token is gone, epoch ms.
 */
export type ApnsOutcome =
  | { outcome: 'sent' }
  | { outcome: 'rejected'; status: number; reason: string; timestamp?: number }
  | { outcome: 'never_processed'; reason: string }
  | { outcome: 'unknown'; reason: string };

/** Apple allows 1 000; more than this on one connection only waits there instead of with us. */
const STREAMS_MAX = 500;
const CONNECT_DEADLINE_MS = 10_000;
/** Apple answers within a second or is in trouble. */
const ANSWER_DEADLINE_MS = 10_000;
/** So many answers missed in a row: the connection is dead, whatever TCP says. */
const MISSED_MAX = 3;
const PING_EVERY_MS = 30_000;
const PING_DEADLINE_MS = 5000;
/** Between two tries to connect; doubled up to a minute. */
const BACKOFF_FIRST_MS = 1000;
const BACKOFF_MAX_MS = 60_000;

const { HTTP2_HEADER_METHOD: METHOD, HTTP2_HEADER_PATH: PATH } = http2.constants;

export class ApnsConnection {
  inFlight = 0;
  /** Epoch ms before which no new connection is tried. */
  blockedUntil = 0;
  readonly #url: string;
  readonly #options: http2.SecureClientSessionOptions;
  readonly #token: ProviderToken;
  readonly #log: Logger;
  readonly #now: () => number;
  #agent: Agent;
  #session: Session | null = null;
  #limit = 1;
  /** The first push on a connection goes alone: until its success Apple allows one stream. */
  #proven = false;
  #failures = 0;
  #missed = 0;
  #pinger: NodeJS.Timeout;

  constructor(parts: {
    url: string;
    ca?: string;
    key: ProviderKey;
    log: Logger;
    now: () => number;
  }) {
    const { url, ca, key, log, now } = parts;
    this.#url = url;
    this.#log = log;
    this.#now = now;
    // The same object each time: the agent finds its session by these options.
    this.#options = { minVersion: 'TLSv1.2', ...(ca !== undefined && { ca }) };
    this.#token = new ProviderToken(key, now);
    this.#agent = this.#newAgent();
    this.#pinger = setInterval(() => this.#ping(), PING_EVERY_MS);
    this.#pinger.unref();
  }

  /** How many more pushes may be handed over now. */
  get free(): number {
    if (this.#now() < this.blockedUntil) return 0;
    const limit = this.#proven ? Math.min(STREAMS_MAX, this.#limit) : 1;
    return Math.max(0, limit - this.inFlight);
  }

  /** Sends one push; never rejects. */
  async send(push: ApnsPush): Promise<ApnsOutcome> {
    this.inFlight++;
    try {
      const stream = await this.#open(push);
      const verdict = await this.#settle(stream, push);
      if (verdict.outcome === 'sent') this.#proven = true;
      return verdict;
    } catch (error) {
      return { outcome: 'never_processed', reason: this.#connectFailed(error) };
    } finally {
      this.inFlight--;
    }
  }

  /** Uses another connection from now on; what is in flight on this one may finish. */
  retire(newToken = false): void {
    if (newToken) this.#token.renew();
    const session = this.#session;
    this.#session = null;
    this.#proven = false;
    this.#limit = 1;
    if (session) markClosing(session);
    session?.close();
  }

  close(): void {
    clearInterval(this.#pinger);
    this.#agent.destroy();
  }

  async #open(push: ApnsPush): Promise<Stream> {
    const token = await this.#token.current();
    const headers: http2.OutgoingHttpHeaders = {
      [METHOD]: 'POST',
      [PATH]: `/3/device/${push.token}`,
      authorization: `bearer ${token}`,
      'apns-id': push.apnsId,
      'apns-topic': push.topic,
      'apns-push-type': 'alert',
      'apns-priority': '10',
      'apns-expiration': String(push.expiration),
      'apns-collapse-id': push.collapseId,
    };
    const request = this.#agent.request(this.#url, this.#options, headers, {});
    const late = () => new Error('no connection in time');
    const stream = await withDeadline(request, CONNECT_DEADLINE_MS, late);
    this.#failures = 0;
    return stream;
  }

  /** Waits for the stream to close: before that nothing is sure. */
  #settle(stream: Stream, push: ApnsPush): Promise<ApnsOutcome> {
    const { promise, resolve } = Promise.withResolvers<ApnsOutcome>();
    // The stream forgets its session when it closes.
    const session = stream.session as Session & { lastProcessed?: number };
    let status = 0;
    let body = '';
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      stream.close(http2.constants.NGHTTP2_CANCEL);
    }, ANSWER_DEADLINE_MS);
    stream.setEncoding('utf8');
    stream.on('response', (headers) => {
      status = Number(headers[':status']);
    });
    stream.on('data', (text: string) => {
      body += text;
    });
    stream.on('error', () => {});
    stream.once('close', () => {
      clearTimeout(timer);
      this.#missed = late ? this.#missed + 1 : 0;
      if (this.#missed >= MISSED_MAX) this.#give(session);
      if (status !== 0) {
        resolve(readAnswer(status, body));
        return;
      }
      const { id } = stream;
      const refused = stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM;
      const afterGoaway = session.lastProcessed !== undefined && (id ?? 0) > session.lastProcessed;
      if (id === undefined || refused || afterGoaway) {
        resolve({ outcome: 'never_processed', reason: 'connection_closing' });
      } else {
        resolve({ outcome: 'unknown', reason: late ? 'no_answer' : 'connection_lost' });
      }
    });
    stream.end(push.payload);
    return promise;
  }

  #newAgent(): Agent {
    const agent = new Agent({ timeout: 0, maxEmptySessions: 1 });
    agent.on('session', (session: Session & { lastProcessed?: number }) => {
      this.#session = session;
      this.#token.renew();
      this.#proven = false;
      this.#limit = session.remoteSettings.maxConcurrentStreams ?? 1;
      session.on('error', () => {});
      session.on('remoteSettings', (settings) => {
        if (this.#session === session) this.#limit = settings.maxConcurrentStreams ?? STREAMS_MAX;
      });
      session.once('goaway', (code, lastStreamId, data) => {
        markClosing(session);
        session.lastProcessed = lastStreamId;
        const reason = data ? Buffer.from(data).toString() : '';
        this.#log.info({ code, reason }, 'APNs says goodbye to a connection');
        if (this.#session === session) this.retire();
      });
    });
    return agent;
  }

  #connectFailed(error: unknown): string {
    const wait = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.#failures++);
    this.blockedUntil = this.#now() + wait * (0.5 + Math.random() / 2);
    this.#log.warn({ err: error, url: this.#url }, 'APNs cannot be reached');
    return 'connect_failed';
  }

  /** Nothing pings in the library, and a frozen server would be used for ever. */
  #ping(): void {
    const session = this.#session;
    if (!session || session.destroyed || session.closed) return;
    const timer = setTimeout(() => this.#give(session), PING_DEADLINE_MS);
    try {
      session.ping((error) => {
        clearTimeout(timer);
        if (error) this.#give(session);
      });
    } catch {
      clearTimeout(timer);
    }
  }

  /** This session is dead. */
  #give(session: Session): void {
    this.#missed = 0;
    if (this.#session === session) this.retire();
    session.destroy();
  }
}

/** The agent must not choose this session again. */
function markClosing(session: Session): void {
  const { kGracefullyClosing } = Agent as unknown as { kGracefullyClosing: symbol };
  (session as unknown as Record<symbol, boolean>)[kGracefullyClosing] = true;
}

function readAnswer(status: number, body: string): ApnsOutcome {
  if (status === 200) return { outcome: 'sent' };
  let said: { reason?: unknown; timestamp?: unknown } = {};
  try {
    said = JSON.parse(body);
  } catch {
    // A proxy between us and Apple may answer with anything.
  }
  return {
    outcome: 'rejected',
    status,
    reason: typeof said.reason === 'string' ? said.reason : 'other',
    ...(typeof said.timestamp === 'number' && { timestamp: said.timestamp }),
  };
}
