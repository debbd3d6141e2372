/**
 * A lasting connection to the feed: it dials, waits for hello and snapshot, dials again with full
 * jitter when the link goes down, and renews the token on the live link. It ends for good when it is
 * closed, when the close code says so, or when fresh tokens are refused. Both clients are built on
 * it.
 */
import { Acks } from './acks.ts';
import { type Backoff, createBackoff } from './backoff.ts';
import { type CreateConnection, type Link, type LinkEnd, openLink } from './link.ts';
import {
  type Ack,
  CLOSE,
  type ClientEvents,
  encodeFrame,
  isTerminalClose,
  type ServerFrame,
} from './protocol.ts';
import { type GetToken, TokenKeeper } from './tokens.ts';

/** After this many fresh tokens refused in a row it ends; one refusal may be a clock a second off. */
const REFUSALS_MAX = 3;
/** When a failed renewal is tried again, until the server closes with 4001. */
const RENEW_AGAIN_MS = 5_000;
const RENEW_ACK_MS = 10_000;
/** `setTimeout` overflows above 2^31 ms; longer lives are checked again after a day. */
const RENEW_WAIT_MAX_MS = 86_400_000;

export interface ConnectionOptions {
  /** Base URL of the deployment, http or https. */
  url: string;
  /** Called when a token is needed: at the first connect, before expiry and after a refusal. */
  getToken: GetToken;
  /** Where the token travels in the upgrade; browsers can only use the subprotocol. */
  tokenIn?: 'header' | 'subprotocol';
  /** Opens the socket to the server: for a line that is made bad on purpose. */
  createConnection?: CreateConnection;
  /** Random numbers in [0, 1) for the pauses between dials. */
  random?: () => number;
}

/** Why a connection has ended: a terminal close code, a refused token, or `close()`. */
export interface Ended {
  reason: 'closed' | 'refused' | 'unauthorized';
  code?: number;
}

export interface ConnectionHandlers {
  frame(frame: ServerFrame): void;
  /** After hello and the first snapshot of each link. */
  live(): void;
  disconnected(end: LinkEnd & { retryInMs: number }): void;
  ended(end: Ended): void;
}

export class Connection {
  readonly #options: ConnectionOptions;
  readonly #handlers: ConnectionHandlers;
  readonly #tokens: TokenKeeper;
  readonly #acks = new Acks();
  readonly #backoff: Backoff;
  readonly #waiters = new Set<(live: boolean) => void>();
  #link: Link | undefined;
  #liveSince: number | undefined;
  #ended: Ended | undefined;
  #refusals = 0;
  #retryTimer: NodeJS.Timeout | undefined;
  #renewTimer: NodeJS.Timeout | undefined;

  constructor(options: ConnectionOptions, handlers: ConnectionHandlers) {
    this.#options = options;
    this.#handlers = handlers;
    this.#tokens = new TokenKeeper(options.getToken);
    this.#backoff = createBackoff(options.random);
  }

  /** Hello and snapshot have arrived and the link is up. */
  get live(): boolean {
    return this.#liveSince !== undefined;
  }

  get ended(): Ended | undefined {
    return this.#ended;
  }

  /** Dials until live; rejects, and ends, when that takes longer. Call once. */
  async connect(timeoutMs: number): Promise<void> {
    void this.#dial();
    if (await this.whenLive(timeoutMs)) return;
    const why = this.#ended?.reason ?? `no snapshot within ${timeoutMs} ms`;
    this.close();
    throw new Error(`could not connect to ${this.#options.url}: ${why}`);
  }

  /** The token of this user, renewed when due. Throws what `getToken` throws. */
  token(): Promise<string> {
    return this.#tokens.current();
  }

  /** True as soon as the connection is live; false at the deadline or when it ended. */
  whenLive(timeoutMs: number): Promise<boolean> {
    if (this.live || this.#ended || timeoutMs <= 0) return Promise.resolve(this.live);
    return new Promise((resolve) => {
      const done = (live: boolean): void => {
        clearTimeout(timer);
        this.#waiters.delete(done);
        resolve(live);
      };
      const timer = setTimeout(() => done(false), timeoutMs);
      this.#waiters.add(done);
    });
  }

  /** Sends without asking for an answer; false when the link is down or stalled. */
  send<E extends keyof ClientEvents>(event: E, data: ClientEvents[E]): boolean {
    return this.live && this.#link?.send(encodeFrame(event, data)) === true;
  }

  /** Sends and waits for the `ack`; null when none came, which says nothing about the outcome. */
  ask<E extends keyof ClientEvents>(
    event: E,
    data: ClientEvents[E],
    timeoutMs: number,
  ): Promise<Ack | null> {
    const expected = this.live ? this.#acks.expect(timeoutMs) : undefined;
    if (!expected) return Promise.resolve(null);
    const sent = this.#link?.send(encodeFrame(event, data, expected.ref));
    if (!sent) this.#acks.settle({ ref: expected.ref, ok: false, code: 'try_again' });
    return expected.answer;
  }

  /** Ends the connection for good; nothing is emitted afterwards. */
  close(): void {
    if (this.#ended) return;
    const link = this.#link;
    this.#end({ reason: 'closed' });
    link?.close();
  }

  async #dial(): Promise<void> {
    const token = await this.#tokens.current().catch(() => undefined);
    if (this.#ended) return;
    if (token === undefined) {
      this.#retry({ code: 1006 });
      return;
    }
    const { url, tokenIn = 'header', createConnection } = this.#options;
    this.#link = openLink(
      { url, token, tokenIn, ...(createConnection && { createConnection }) },
      { frame: (frame) => this.#take(frame), down: (end) => this.#down(end) },
    );
  }

  #take(frame: ServerFrame): void {
    if (this.#ended) return;
    if (frame.event === 'ack') this.#acks.settle(frame.data);
    if (frame.event === 'hello') this.#tokens.hearTime(frame.data.server_time);
    this.#handlers.frame(frame);
    if (frame.event === 'feed:snapshot' && !this.live) this.#becomeLive();
  }

  #becomeLive(): void {
    this.#liveSince = performance.now();
    this.#refusals = 0;
    this.#scheduleRenewal(this.#tokens.renewInMs);
    this.#handlers.live();
    for (const waiter of [...this.#waiters]) waiter(true);
  }

  #scheduleRenewal(inMs: number): void {
    clearTimeout(this.#renewTimer);
    if (inMs === Number.POSITIVE_INFINITY) return;
    const waitMs = Math.min(Math.max(inMs, 0), RENEW_WAIT_MAX_MS);
    this.#renewTimer = setTimeout(() => void this.#renew(), waitMs);
  }

  async #renew(): Promise<void> {
    if (!this.live) return;
    if (this.#tokens.renewInMs > 0) {
      this.#scheduleRenewal(this.#tokens.renewInMs);
      return;
    }
    const token = await this.#tokens.current().catch(() => undefined);
    const ack = token === undefined ? null : await this.ask('auth', { token }, RENEW_ACK_MS);
    if (!this.live) return;
    if (!ack?.ok) this.#tokens.discard();
    this.#scheduleRenewal(ack?.ok ? Math.max(this.#tokens.renewInMs, 1_000) : RENEW_AGAIN_MS);
  }

  #down(end: LinkEnd): void {
    this.#link = undefined;
    clearTimeout(this.#renewTimer);
    if (this.#liveSince !== undefined) {
      this.#backoff.lasted(performance.now() - this.#liveSince);
      this.#liveSince = undefined;
    }
    this.#acks.dropAll();
    if (this.#ended) return;
    if (isTerminalClose(end.code)) {
      this.#end({ reason: 'refused', code: end.code });
      return;
    }
    if (end.code === CLOSE.tokenExpired || end.httpStatus === 401) this.#tokens.discard();
    if (end.httpStatus === 401 || end.httpStatus === 403) this.#refusals += 1;
    if (this.#refusals >= REFUSALS_MAX) this.#end({ reason: 'unauthorized' });
    else this.#retry(end);
  }

  #retry(end: LinkEnd): void {
    const retryInMs = this.#backoff.nextMs();
    this.#retryTimer = setTimeout(() => void this.#dial(), retryInMs);
    this.#handlers.disconnected({ ...end, retryInMs });
  }

  #end(ended: Ended): void {
    this.#ended = ended;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#renewTimer);
    this.#liveSince = undefined;
    this.#acks.dropAll();
    for (const waiter of [...this.#waiters]) waiter(false);
    this.#handlers.ended(ended);
  }
}
