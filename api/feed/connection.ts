/**
 * One client's socket: what goes out, how fast it may come in, and when it is closed.
 * A tick's frames leave in one write. A client that does not read is sent nothing more until it has
 * caught up, then a snapshot; the server's memory does not grow with slow phones.
 */
import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import { CLOSE } from '../../engine/domain/close-codes.ts';
import type { Identity } from '../auth.ts';
import { eventFrame, PING, pongFrame } from './frame.ts';
import type { FeedMetrics } from './metrics.ts';
import { type FrameList, openList } from './outbox.ts';

/** About 400 jobs: a client that is this far behind is better served by a snapshot. */
const BUFFERED_MAX = 256 * 1024;
/** A client that does not read for so long is gone or hopeless. */
const BEHIND_MAX_MS = 30_000;
/** Contract section 5: 200 frames a second, or 500 at once. */
const FRAMES_PER_S = 200;
const FRAMES_BURST = 500;
/** Contract section 5: invalid frames in a row. */
const BAD_FRAMES_MAX = 10;
/** A client that does not answer the close is cut off. */
const CLOSE_TIMEOUT_MS = 3000;

export class Connection {
  readonly id: string;
  /** As the newest token says. */
  identity: Identity;
  /** Epoch ms of the last frame or pong. */
  heardAt: number;
  /** Epoch ms; a refreshed token moves it. */
  expiresAt: number;
  closed = false;
  /** Called when a client that was behind has caught up. */
  onDrained: () => void = () => {};

  readonly #ws: WebSocket;
  readonly #socket: Duplex;
  readonly #metrics: FeedMetrics;
  readonly #now: () => number;
  /** What is to be sent in this tick. */
  #outgoing: FrameList | null = null;
  #behindSince = 0;
  #allowance = FRAMES_BURST;
  #allowanceAt: number;
  #badFrames = 0;

  constructor(
    id: string,
    identity: Identity,
    wire: { ws: WebSocket; socket: Duplex },
    metrics: FeedMetrics,
    now: () => number,
  ) {
    this.id = id;
    this.identity = identity;
    this.expiresAt = identity.expiresAt;
    this.#now = now;
    this.heardAt = now();
    this.#allowanceAt = this.heardAt;
    this.#ws = wire.ws;
    this.#socket = wire.socket;
    this.#metrics = metrics;
    wire.socket.on('drain', () => {
      if (this.#behindSince === 0) return;
      this.#behindSince = 0;
      this.onDrained();
    });
  }

  /** Queues a frame for this tick's write. Dropped while the client is behind. */
  send(event: string, frame: Buffer): void {
    if (this.closed || this.#behindSince > 0) return;
    this.#metrics.frame(event);
    this.#queue(frame);
  }

  sendEvent(event: string, data: object): void {
    this.send(event, eventFrame(event, data));
  }

  /** Answers a client frame that carried a `ref`. */
  ack(ref: string, answer: { ok: boolean; code?: string; data?: object }): void {
    this.sendEvent('ack', { ref, ...answer });
  }

  error(code: string, message: string, retryAfterMs?: number): void {
    const retry = retryAfterMs === undefined ? {} : { retry_after_ms: retryAfterMs };
    this.sendEvent('error', { code, message, ...retry });
  }

  /** Says why, then closes. */
  close(status: number, code: string, message: string): void {
    if (this.closed) return;
    this.#behindSince = 0;
    this.error(code, message);
    this.flush();
    this.closed = true;
    this.#ws.close(status, code);
    setTimeout(() => this.#ws.terminate(), CLOSE_TIMEOUT_MS).unref();
  }

  /** A fresh token of the same user. */
  renew(identity: Identity): void {
    this.identity = identity;
    this.expiresAt = identity.expiresAt;
  }

  /** Closes a client whose frame was too large, as `ws` itself does: without an `error`. */
  tooBig(): void {
    if (this.closed) return;
    this.flush();
    this.closed = true;
    this.#ws.close(CLOSE.tooBig);
    setTimeout(() => this.#ws.terminate(), CLOSE_TIMEOUT_MS).unref();
  }

  ping(): void {
    if (!this.closed) this.#queue(PING);
  }

  /** Answers a client's ping; one who does not read what he is sent gets no answers either. */
  pong(payload: Buffer): void {
    if (!this.closed && this.#behindSince === 0) this.#queue(pongFrame(payload));
  }

  /** Counts a frame from the client; false when it closed the connection for sending too fast. */
  admit(now: number): boolean {
    this.heardAt = now;
    const earned = ((now - this.#allowanceAt) / 1000) * FRAMES_PER_S;
    this.#allowance = Math.min(FRAMES_BURST, this.#allowance + Math.max(0, earned)) - 1;
    this.#allowanceAt = now;
    if (this.#allowance >= 0) return true;
    this.close(CLOSE.tooFast, 'rate_limited', 'More than 200 frames a second or 500 at once');
    return false;
  }

  goodFrame(): void {
    this.#badFrames = 0;
  }

  /** Answers an invalid frame; the tenth in a row closes. */
  badFrame(ref: string | undefined, code: string, message: string, data: object): void {
    if (ref !== undefined) this.ack(ref, { ok: false, code, data });
    else this.error(code, message);
    if (++this.#badFrames < BAD_FRAMES_MAX) return;
    this.close(CLOSE.badFrame, 'bad_frames', 'Ten invalid frames in a row');
  }

  /** Closes a client that has not read for too long. */
  checkPace(now: number): void {
    if (this.#behindSince === 0 || now - this.#behindSince < BEHIND_MAX_MS) return;
    this.close(CLOSE.tooSlow, 'too_slow', 'The client does not read what it is sent');
  }

  /** The tick's one write. */
  flush(): void {
    const frames = this.#outgoing;
    this.#outgoing = null;
    if (this.closed || frames === null || this.#ws.readyState !== WebSocket.OPEN) return;
    this.#socket.write(frames.bytes());
    // Pings still go to a client that is behind: they must not make him look newly so.
    if (this.#behindSince === 0 && this.#socket.writableLength > BUFFERED_MAX) {
      this.#behindSince = this.#now();
    }
  }

  #queue(frame: Buffer): void {
    this.#outgoing = (this.#outgoing ?? openList(this)).with(frame);
  }
}
