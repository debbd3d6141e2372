/**
 * One HTTP/2 session to APNs: how many streams it may use now, its own provider token, and what is
 * certain about each push. A push gets its outcome when its stream is closed and not before; a session
 * that got a GOAWAY, or an answer that demands it, takes no more pushes and finishes those that it
 * has. Used by `connection.ts`, which replaces it.
 */
import type { Socket } from 'node:net';
import http2, { Agent } from 'http2-wrapper';
import type { Logger } from '../../../engine/engine.ts';
import { type ApnsOutcome, type ApnsPush, headersOf, readAnswer } from './messages.ts';
import type { ProviderToken } from './provider-token.ts';
import { reactionTo } from './reactions.ts';

type Session = http2.ClientHttp2Session;
type Stream = http2.ClientHttp2Stream;

/** Apple allows 1 000; beyond this pushes on one connection only wait there instead of here. */
const STREAMS_MAX = 500;
/** Apple answers within a second or is in trouble. */
const ANSWER_DEADLINE_MS = 10_000;
/** A cancelled stream closes at once, unless the socket accepts nothing any more. */
const CANCEL_DEADLINE_MS = 2000;
/** This many missing answers, or 500s, in a row: the connection is dead, whatever TCP says. */
const MISSED_MAX = 3;
const PING_EVERY_MS = 30_000;
const PING_DEADLINE_MS = 5000;
/** Pushes on a retired session have their own deadlines; this much later the session is closed. */
const RETIRED_LONGER_MS = CANCEL_DEADLINE_MS + 1000;

const { NGHTTP2_CANCEL, NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = http2.constants;

export class ApnsSession {
  inFlight = 0;
  readonly #session: Session;
  readonly #socket: Socket;
  readonly #token: ProviderToken;
  readonly #log: Logger;
  readonly #answerDeadlineMs: number;
  readonly #pinger: NodeJS.Timeout;
  #limit: number;
  /** The first push goes alone: until its success Apple allows one stream. */
  #proven = false;
  #retired = false;
  #missed = 0;
  #failed = 0;
  /** The session ended all streams with its own code, which says nothing about each push. */
  #failedGoaway = false;
  /** Streams above it were certainly not processed. */
  #lastProcessed = Number.POSITIVE_INFINITY;

  /** `session` has received its SETTINGS and has no other user. */
  constructor(
    session: Session,
    socket: Socket,
    token: ProviderToken,
    log: Logger,
    answerDeadlineMs = ANSWER_DEADLINE_MS,
  ) {
    this.#session = session;
    this.#socket = socket;
    this.#token = token;
    this.#log = log;
    this.#answerDeadlineMs = answerDeadlineMs;
    this.#limit = session.remoteSettings.maxConcurrentStreams ?? 1;
    this.#pinger = setInterval(() => this.#ping(), PING_EVERY_MS);
    this.#pinger.unref();
    session.on('error', () => {});
    session.on('remoteSettings', ({ maxConcurrentStreams }) => {
      this.#limit = maxConcurrentStreams ?? STREAMS_MAX;
    });
    // A graceful server sends GOAWAY twice, the second time with the true last stream.
    session.on('goaway', (code, lastStreamId, data) => {
      if (code !== NGHTTP2_NO_ERROR) this.#failedGoaway = true;
      this.#lastProcessed = Math.min(this.#lastProcessed, lastStreamId);
      const reason = data ? Buffer.from(data).toString() : '';
      log.info({ code, reason }, 'APNs sent GOAWAY');
      this.retire();
    });
    session.once('close', () => {
      this.#retired = true;
      clearInterval(this.#pinger);
    });
  }

  /** Has a push succeeded on it? */
  get proven(): boolean {
    return this.#proven;
  }

  /** May it still take pushes? */
  get usable(): boolean {
    return !this.#retired && !this.#session.closed && !this.#session.destroyed;
  }

  /** How many more pushes it may take now. */
  get free(): number {
    if (!this.usable) return 0;
    const limit = this.#proven ? Math.min(STREAMS_MAX, this.#limit) : Math.min(1, this.#limit);
    return Math.max(0, limit - this.inFlight);
  }

  /** Sends one push; never rejects. */
  async send(push: ApnsPush): Promise<ApnsOutcome> {
    this.inFlight++;
    try {
      const token = await this.#token.current();
      // A push that was not handed to the session certainly went nowhere.
      if (!this.usable) return { outcome: 'never_processed', reason: 'connection_closing' };
      const outcome = await this.#settle(this.#session.request(headersOf(push, token)), push);
      return this.#learn(outcome);
    } catch (error) {
      this.#log.warn({ err: error }, 'push not handed to APNs');
      return { outcome: 'never_processed', reason: 'connection_closing' };
    } finally {
      this.inFlight--;
    }
  }

  /** Takes no more pushes; those in flight may finish. */
  retire(): void {
    if (this.#retired) return;
    this.#retired = true;
    markClosing(this.#session);
    if (!this.#session.destroyed) this.#session.close();
    setTimeout(() => this.destroy(), this.#answerDeadlineMs + RETIRED_LONGER_MS).unref();
  }

  /** Closes at once; pushes in flight get their outcome. */
  destroy(): void {
    this.#retired = true;
    clearInterval(this.#pinger);
    markClosing(this.#session);
    this.#session.destroy();
    // After a graceful close the session would wait for the other side to end the socket.
    this.#socket.destroy();
  }

  /** Waits for the stream to close, since nothing is certain before; if it does not, the outcome is unknown. */
  #settle(stream: Stream, push: ApnsPush): Promise<ApnsOutcome> {
    const { promise, resolve } = Promise.withResolvers<ApnsOutcome>();
    let answer: http2.IncomingHttpHeaders | undefined;
    let body = '';
    let late = false;
    let timer = setTimeout(() => {
      late = true;
      timer = setTimeout(() => {
        this.retire();
        resolve({ outcome: 'unknown', reason: 'no_answer' });
      }, CANCEL_DEADLINE_MS);
      stream.close(NGHTTP2_CANCEL);
      if (++this.#missed >= MISSED_MAX) this.retire();
    }, this.#answerDeadlineMs);
    stream.setEncoding('utf8');
    stream.on('response', (headers) => {
      answer = headers;
    });
    stream.on('data', (text: string) => {
      body += text;
    });
    stream.on('error', () => {});
    stream.once('close', () => {
      clearTimeout(timer);
      if (!late) this.#missed = 0;
      const cut = stream.rstCode !== NGHTTP2_NO_ERROR || this.#session.destroyed;
      if (answer) resolve(readAnswer(answer, body, cut));
      else resolve(this.#unanswered(stream, late));
    });
    stream.end(push.payload);
    return promise;
  }

  #unanswered({ id, rstCode }: Stream, late: boolean): ApnsOutcome {
    const refused = rstCode === NGHTTP2_REFUSED_STREAM && !this.#failedGoaway;
    if (id === undefined || refused || id > this.#lastProcessed) {
      return { outcome: 'never_processed', reason: 'connection_closing' };
    }
    return { outcome: 'unknown', reason: late ? 'no_answer' : 'connection_lost' };
  }

  /** What an answer says about its session. */
  #learn(outcome: ApnsOutcome): ApnsOutcome {
    if (outcome.outcome === 'sent') {
      this.#proven = true;
      this.#failed = 0;
    }
    if (outcome.outcome !== 'rejected') return outcome;
    this.#failed = outcome.status === 500 ? this.#failed + 1 : 0;
    const { newConnection } = reactionTo(outcome.status, outcome.reason);
    if (newConnection || this.#failed >= MISSED_MAX) this.retire();
    return outcome.status === 403 ? { ...outcome, fresh: !this.#proven } : outcome;
  }

  /**
   * The library sends no pings, and would use a frozen server for ever. Pushes in flight may still be
   * answered within their own deadlines.
   */
  #ping(): void {
    if (!this.usable) return;
    const timer = setTimeout(() => this.retire(), PING_DEADLINE_MS);
    timer.unref();
    try {
      this.#session.ping((error) => {
        clearTimeout(timer);
        if (error) this.retire();
      });
    } catch {
      clearTimeout(timer);
    }
  }
}

/** The agent must not choose this session again. */
function markClosing(session: Session): void {
  const { kGracefullyClosing } = Agent as unknown as { kGracefullyClosing: symbol };
  (session as unknown as Record<symbol, boolean>)[kGracefullyClosing] = true;
}
