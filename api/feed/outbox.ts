/**
 * The frames to all connections in this tick. Most connections get the same frames in the same order,
 * so a list of frames is kept once and shared: a connection holds one reference, and the bytes are
 * joined once for all of them. Everything leaves when the tick's events are done, one write per
 * connection.
 */

/** A list of frames: the last one, and the list before it. */
export class FrameList {
  readonly #frame: Buffer | null;
  readonly #before: FrameList | null;
  readonly #length: number;
  /** The list that was last made from this one: the next connection most likely wants the same. */
  #longer: FrameList | null = null;
  #bytes: Buffer | null;

  constructor(before: FrameList | null = null, frame: Buffer | null = null) {
    this.#before = before;
    this.#frame = frame;
    this.#length = frame ? (before ? before.#length + 1 : 1) : 0;
    this.#bytes = this.#length === 1 ? frame : null;
  }

  /** This list with one more frame at its end. */
  with(frame: Buffer): FrameList {
    if (this.#longer === null || this.#longer.#frame !== frame) {
      this.#longer = new FrameList(this, frame);
    }
    return this.#longer;
  }

  /** All bytes, joined at the first call. */
  bytes(): Buffer {
    this.#bytes ??= Buffer.concat(this.#frames());
    return this.#bytes;
  }

  #frames(): Buffer[] {
    const frames: Buffer[] = [];
    for (let list: FrameList | null = this; list !== null; list = list.#before) {
      if (list.#frame) frames.push(list.#frame);
    }
    return frames.reverse();
  }
}

/** The connections that have something to send. */
export interface Sender {
  flush(): void;
}

let empty = new FrameList();
let waiting: Sender[] = [];

/** The empty list of this tick; `sender` is flushed at its end. */
export function openList(sender: Sender): FrameList {
  if (waiting.push(sender) === 1) setImmediate(flushAll);
  return empty;
}

function flushAll(): void {
  const senders = waiting;
  waiting = [];
  // A new root, so that the frames of this tick are not kept alive.
  empty = new FrameList();
  for (const sender of senders) sender.flush();
}
