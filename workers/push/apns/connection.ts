/**
 * Holds one session to APNs on `http2-wrapper` at a time: opens it, waits longer after each one that
 * never worked, and opens another when it is used up. The library loses nothing under these rules: we
 * choose sessions instead of the agent (which fills one up, opens more than needed and uses those that
 * got GOAWAY), call `session.request` on the native session (`http2.request` resets every stream), and
 * set no limit of sessions (with one, idle sessions are closed).
 */
import type { Socket } from 'node:net';
import { Agent, type SecureClientSessionOptions } from 'http2-wrapper';
import type { Logger } from '../../../engine/engine.ts';
import { withDeadline } from '../../../engine/process/deadline.ts';
import type { ApnsOutcome, ApnsPush } from './messages.ts';
import { type ProviderKey, ProviderToken } from './provider-token.ts';
import { ApnsSession } from './session.ts';

const CONNECT_DEADLINE_MS = 10_000;
/** The pause after a session that never worked; doubled up to a minute. */
const BACKOFF_FIRST_MS = 1000;
const BACKOFF_MAX_MS = 60_000;
/** Longer than a notification waits for its second try after a 500. */
const ILL_MS = 10_000;

export interface ConnectionParts {
  url: string;
  ca?: string;
  key: ProviderKey;
  log: Logger;
  now: () => number;
  /** How long to wait for TLS and SETTINGS. */
  connectDeadlineMs?: number;
  /** How long to wait for the answer to a push. */
  answerDeadlineMs?: number;
}

export class ApnsConnection {
  readonly #parts: ConnectionParts;
  readonly #options: SecureClientSessionOptions;
  readonly #agent = new Agent({ timeout: 0, maxEmptySessions: Number.POSITIVE_INFINITY });
  #socket: Socket | undefined;
  #session: ApnsSession | null = null;
  /** Replaced sessions that may still have pushes in flight. */
  readonly #retired = new Set<ApnsSession>();
  #connecting = false;
  #closed = false;
  #failures = 0;
  /** Epoch ms before which no new session is tried. */
  #blockedUntil = 0;
  #illUntil = 0;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    const { ca } = parts;
    // The same object each time: the agent keeps TLS sessions by these options.
    this.#options = { minVersion: 'TLSv1.2', ...(ca !== undefined && { ca }) };
    this.#agent.createConnection = async (origin, options) => {
      const socket = Agent.connect(origin, options);
      this.#socket = socket;
      return socket;
    };
  }

  get inFlight(): number {
    return this.#connecting ? 1 : (this.#session?.inFlight ?? 0);
  }

  /** How many more pushes it may take now. */
  get free(): number {
    if (this.#closed || this.#connecting) return 0;
    if (this.#session?.usable) return this.#session.free;
    return this.#parts.now() < this.#blockedUntil ? 0 : 1;
  }

  /** It answered 500 a moment ago: usually only one connection is affected. */
  get ill(): boolean {
    return this.#parts.now() < this.#illUntil;
  }

  /** Sends one push, opening a session for it if there is none; never rejects. */
  async send(push: ApnsPush): Promise<ApnsOutcome> {
    let session = this.#session;
    if (!session?.usable) {
      try {
        session = await this.#open();
      } catch (error) {
        return { outcome: 'never_processed', reason: this.#connectFailed(error) };
      }
    }
    const outcome = await session.send(push);
    if (outcome.outcome === 'rejected' && outcome.status === 500) {
      this.#illUntil = this.#parts.now() + ILL_MS;
    }
    // A session that never works must not be opened again and again.
    if (outcome.outcome === 'sent') this.#failures = 0;
    else if (!session.proven && !session.usable && session === this.#session) {
      this.#replace(session);
      this.#session = null;
      this.#backOff();
    }
    return outcome;
  }

  /** Closes at once; pushes in flight get their outcome. */
  close(): void {
    this.#closed = true;
    this.#agent.destroy();
    this.#socket?.destroy();
    for (const session of this.#retired) session.destroy();
    this.#session?.destroy();
  }

  async #open(): Promise<ApnsSession> {
    const { url, key, log, now, connectDeadlineMs = CONNECT_DEADLINE_MS } = this.#parts;
    const { answerDeadlineMs } = this.#parts;
    if (this.#session) this.#replace(this.#session);
    this.#session = null;
    this.#connecting = true;
    try {
      const opening = this.#agent.getSession(url, this.#options);
      const late = () => new Error('no connection in time');
      const session = await withDeadline(opening, connectDeadlineMs, late);
      const socket = this.#socket;
      if (!socket || this.#closed) throw new Error('closed while connecting');
      // A provider token per session: Apple refuses another one on a connection within twenty minutes.
      const opened = new ApnsSession(
        session,
        socket,
        new ProviderToken(key, now),
        log,
        answerDeadlineMs,
      );
      this.#session = opened;
      return opened;
    } catch (error) {
      // A session that is still being opened has no user; destroying its socket ends it.
      this.#socket?.destroy();
      throw error;
    } finally {
      this.#connecting = false;
    }
  }

  #replace(session: ApnsSession): void {
    for (const one of this.#retired) if (one.inFlight === 0) this.#retired.delete(one);
    session.retire();
    if (session.inFlight > 0) this.#retired.add(session);
  }

  #connectFailed(error: unknown): string {
    const { log, url } = this.#parts;
    this.#backOff();
    log.warn({ err: error, url }, 'APNs cannot be reached');
    return 'connect_failed';
  }

  #backOff(): void {
    const wait = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** this.#failures++);
    this.#blockedUntil = this.#parts.now() + wait * (0.5 + Math.random() / 2);
  }
}
