/**
 * A place for one session to APNs on `http2-wrapper`: opens it, one at a time, waits longer after
 * each that never worked, and opens another when it is used up. The rules under which the library loses
 * nothing: sessions of our own choice instead of the agent's (it fills one to the brim, opens more
 * than are needed and uses those that got GOAWAY), `session.request` on the native session
 * (`http2.request` resets every stream), and no limit of sessions (one closes them when they idle).
 */
import type { Socket } from 'node:net';
import { Agent, type SecureClientSessionOptions } from 'http2-wrapper';
import type { Logger } from '../../../engine/engine.ts';
import { withDeadline } from '../../../engine/process/deadline.ts';
import type { ApnsOutcome, ApnsPush } from './messages.ts';
import { type ProviderKey, ProviderToken } from './provider-token.ts';
import { ApnsSession } from './session.ts';

const CONNECT_DEADLINE_MS = 10_000;
/** Between two sessions that never worked; doubled up to a minute. */
const BACKOFF_FIRST_MS = 1000;
const BACKOFF_MAX_MS = 60_000;
/** Longer than a notification that met a 500 waits for its second try. */
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
  /** Those that are replaced and may still have pushes in flight. */
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

  /** How many more pushes may be handed over now. */
  get free(): number {
    if (this.#closed || this.#connecting) return 0;
    if (this.#session?.usable) return this.#session.free;
    return this.#parts.now() < this.#blockedUntil ? 0 : 1;
  }

  /** It said a moment ago that Apple failed: most often only one connection is ill. */
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
    // One that never works is no better than none: it must not be opened again and again.
    if (outcome.outcome === 'sent') this.#failures = 0;
    else if (!session.proven && !session.usable && session === this.#session) {
      this.#replace(session);
      this.#session = null;
      this.#backOff();
    }
    return outcome;
  }

  /** At once; what is in flight is settled. */
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
      // A token of its own: Apple refuses a second one on a connection within twenty minutes.
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
      // What would still be opened has nobody to use it; without its socket it ends.
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
