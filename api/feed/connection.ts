/**
 * One client's socket: what goes out, how fast frames may come in, and when it is closed.
 * A tick's frames leave in one write. A client that falls behind is sent nothing more until it has caught
 * up, then a snapshot; the server's memory does not grow with slow phones.
 */
import type { Duplex } from 'node:stream';
import { WebSocket } from 'ws';
import { CLOSE } from '../../engine/domain/close-codes.ts';
import type { Identity } from '../auth.ts';
import { eventFrame, PING, pongFrame } from './frame.ts';
import { Line } from './line.ts';
import type { FeedMetrics } from './metrics.ts';
import { type FrameList, openList } from './outbox.ts';

/** Contract section 5: 200 frames a second, or 500 at once. */
const FRAMES_PER_S = 200;
const FRAMES_BURST = 500;
/** Contract section 5: invalid frames in a row. */
const BAD_FRAMES_MAX = 10;
/** A client that does not answer the close is cut off. */
const CLOSE_TIMEOUT_MS = 3000;

export type FeedState = 'feed:degraded' | 'feed:live';

export class Connection {
  readonly id: string;
  /** From the newest token. */
  identity: Identity;
  /** When the last frame or pong came, by the monotonic clock. */
  heardAt: number;
  /** Epoch ms; a refreshed token moves it. */
  expiresAt: number;
  closed = false;

  readonly #ws: WebSocket;
  readonly #line: Line;
  readonly #metrics: FeedMetrics;
  /** The frames to be sent in this tick. */
  #outgoing: FrameList | null = null;
  /** What follows the next snapshot: is the feed degraded or live? */
  #stateDue: { event: FeedState; frame: Buffer } | null = null;
  #allowance = FRAMES_BURST;
  #allowanceAt: number;
  #badFrames = 0;

  /** `now` is by the monotonic clock, as everywhere in this file. */
  constructor(
    id: string,
    identity: Identity,
    wire: { ws: WebSocket; socket: Duplex },
    metrics: FeedMetrics,
    now: number,
  ) {
    this.id = id;
    this.identity = identity;
    this.expiresAt = identity.expiresAt;
    this.heardAt = now;
    this.#allowanceAt = now;
    this.#ws = wire.ws;
    this.#line = new Line(wire.socket);
    this.#metrics = metrics;
  }

  /** Called when a client that was behind has caught up. */
  set onDrained(listener: () => void) {
    this.#line.onDrained = listener;
  }

  /** Queues a frame for this tick's write. Dropped while the client is behind. */
  send(event: string, frame: Buffer): void {
    if (this.closed || this.#line.behind) return;
    this.#metrics.frame(event);
    this.#queue(frame);
  }

  sendEvent(event: string, data: object): void {
    this.send(event, eventFrame(event, data));
  }

  /** Queues what no snapshot makes good, also while the client is behind; closes where too much waits. */
  sendSurely(event: string, data: object): void {
    if (this.closed) return;
    if (this.#line.isFull) {
      this.close(CLOSE.tooSlow, 'too_slow', 'The client does not read what it is sent');
      return;
    }
    this.#metrics.frame(event);
    this.#queue(eventFrame(event, data));
  }

  /** Sends what replaces all that the client holds, however large it is. */
  sendSnapshot(event: string, frames: readonly Buffer[]): void {
    if (this.closed || this.#line.behind) return;
    const [frame] = frames;
    if (frame && frames.length === 1) {
      this.send(event, frame);
    } else {
      this.#metrics.frame(event);
      this.flush();
      this.#line.writeSnapshot(frames);
    }
    const state = this.#stateDue;
    this.#stateDue = null;
    if (state) this.send(state.event, state.frame);
  }

  /** Tells whether the feed is degraded or live: at once, or after a snapshot that is due. */
  sendState(event: FeedState, frame: Buffer, isSnapshotDue: boolean): void {
    this.#stateDue = isSnapshotDue || this.#line.behind ? { event, frame } : null;
    if (this.#stateDue === null) this.send(event, frame);
  }

  /** Answers a client frame that carried a `ref`. */
  ack(ref: string, answer: { ok: boolean; code?: string; data?: object }): void {
    this.sendSurely('ack', { ref, ...answer });
  }

  error(code: string, message: string, retryAfterMs?: number): void {
    this.sendSurely('error', errorData(code, message, retryAfterMs));
  }

  /** Says why, then closes. */
  close(status: number, code: string, message: string): void {
    if (this.closed) return;
    this.#metrics.frame('error');
    this.#queue(eventFrame('error', errorData(code, message)));
    this.flush();
    this.#line.finish();
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

  /** Answers a client's ping; a client that is behind gets no answers either. */
  pong(payload: Buffer): void {
    if (!this.closed && !this.#line.behind) this.#queue(pongFrame(payload));
  }

  /** Counts a frame from the client; false when the connection was closed because frames came too fast. */
  admit(now: number): boolean {
    this.heardAt = now;
    const earned = ((now - this.#allowanceAt) / 1000) * FRAMES_PER_S;
    this.#allowance = Math.min(FRAMES_BURST, this.#allowance + earned) - 1;
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

  /** Closes a client that reads nothing. */
  checkPace(now: number): void {
    if (!this.#line.isStalled(now)) return;
    this.close(CLOSE.tooSlow, 'too_slow', 'The client does not read what it is sent');
  }

  /** The tick's one write. */
  flush(): void {
    const frames = this.#outgoing;
    this.#outgoing = null;
    if (this.closed || frames === null || this.#ws.readyState !== WebSocket.OPEN) return;
    this.#line.write(frames.bytes());
  }

  #queue(frame: Buffer): void {
    this.#outgoing = (this.#outgoing ?? openList(this)).with(frame);
  }
}

function errorData(code: string, message: string, retryAfterMs?: number): object {
  return { code, message, ...(retryAfterMs !== undefined && { retry_after_ms: retryAfterMs }) };
}
