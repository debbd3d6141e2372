/**
 * The backlog of one client: passed to the socket piece by piece, so that the progress of a large
 * snapshot can be seen, and the backlog bounded. A client that is too far behind is sent nothing more
 * until it has read everything; one that reads nothing for 30 s is given up, a slow one is not.
 */
import type { Duplex } from 'node:stream';

/** About 400 jobs: a client that is this far behind is better served by a snapshot. */
const BUFFERED_MAX = 256 * 1024;
/** What may wait beyond that, since no snapshot makes it good: answers, and what is for one user alone. */
const SURE_MAX = 256 * 1024;
/** Bytes passed to the socket at once: less would not fill a fast line. */
const PIECE = 64 * 1024;
/** A client that reads nothing for this long is given up. */
const STALLED_MS = 30_000;

export class Line {
  /** Called when a client that was behind has read all that waited. */
  onDrained: () => void = () => {};
  readonly #socket: Duplex;
  /** Whole frames, or fragments of one, in their order. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  /** Size of the last snapshot while any of it, or of what followed it, still waits. */
  #snapshotBytes = 0;
  #behind = false;
  #written = 0;
  /** Bytes that had left at the last check, and since when that number has not changed. */
  #left = 0;
  #leftSince = 0;

  constructor(socket: Duplex) {
    this.#socket = socket;
    socket.on('drain', () => this.#onRoom());
  }

  /** Too far behind: anything sent now would come too late. */
  get behind(): boolean {
    return this.#behind;
  }

  /** So much waits that not even an answer may join it. */
  get isFull(): boolean {
    return this.unsent > this.#mostWaiting() + SURE_MAX;
  }

  /** Bytes that still wait. */
  get unsent(): number {
    return this.#waitingBytes + this.#socket.writableLength;
  }

  write(bytes: Buffer): void {
    if (this.unsent === 0) this.#snapshotBytes = 0;
    if (this.#waiting.length === 0 && this.#socket.writableLength <= PIECE) this.#hand(bytes);
    else this.#wait(bytes);
    this.#behind ||= this.unsent > this.#mostWaiting();
  }

  /** A snapshot, which may be larger than anything that may wait otherwise. */
  writeSnapshot(fragments: readonly Buffer[]): void {
    for (const fragment of fragments) this.#wait(fragment);
    this.#snapshotBytes = fragments.reduce((sum, { length }) => sum + length, 0);
    this.#pump();
  }

  /** Passes everything to the socket, as nothing comes after it. */
  finish(): void {
    for (const bytes of this.#waiting.splice(0)) this.#hand(bytes);
    this.#waitingBytes = 0;
  }

  /** Called regularly: has nothing left for so long that the client must be given up? */
  isStalled(now: number): boolean {
    const left = this.#written - this.#socket.writableLength;
    if (left !== this.#left || this.unsent === 0) {
      this.#left = left;
      this.#leftSince = now;
    }
    return now - this.#leftSince >= STALLED_MS;
  }

  /** What follows a snapshot may wait as long as the snapshot does. */
  #mostWaiting(): number {
    return this.#snapshotBytes + Math.max(BUFFERED_MAX, this.#snapshotBytes);
  }

  #wait(bytes: Buffer): void {
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
  }

  #hand(bytes: Buffer, then?: () => void): void {
    this.#written += bytes.length;
    this.#socket.write(bytes, then);
  }

  #pump(): void {
    while (this.#socket.writableLength <= PIECE) {
      const bytes = this.#waiting.shift();
      if (!bytes) return;
      this.#waitingBytes -= bytes.length;
      this.#hand(bytes, () => this.#onRoom());
    }
  }

  #onRoom(): void {
    this.#pump();
    if (!this.#behind || this.unsent > 0) return;
    this.#behind = false;
    this.onDrained();
  }
}
