/**
 * Follows one log without missing an entry: each entry names the one before it. If an entry does not
 * follow the last one applied, the gap is read from the log; if the log no longer has it, the state is
 * loaded anew. The live channel is for speed only: the regular comparison finds what it loses.
 */
import type { LogKeys } from '../redis/keys.ts';

/** One log and what a follower makes of it. */
export interface LogSource {
  keys: LogKeys;
  /**
   * Loads the whole state anew and returns the id of the entry that it includes last.
   * `suspect`: Redis contradicts what was seen before, so it must be checked against Postgres.
   */
  load(suspect: boolean): Promise<string>;
  /** Brings everything that Redis missed into the log, after an outage with too many changes to put singly. */
  complete?(): Promise<void>;
  /** False for an entry that does not say everything that changed: then the state is loaded anew. */
  apply(body: string): boolean;
}

/** The result of one read of the log. */
export interface LogRead {
  ready: boolean;
  last: string;
  /** Entries after the follower's last one, oldest first. */
  entries: { id: string; prev: string; body: string }[];
}

/** Entries per read; a follower that is further behind reads again. */
export const READ_MAX = 1000;
/** Most reads in a row; if they do not reach the end, the state is loaded anew. */
const READS_MAX = 12;
/** Live entries kept while reading; the next comparison finds what is dropped beyond them. */
const HELD_MAX = 1000;

export class LogFollower {
  readonly source: LogSource;
  /** Id of the last entry applied; null until the state was loaded. */
  last: string | null = null;
  /** Comparisons in a row that found the log ahead of us although no live entry had come. */
  unheard = 0;
  readonly #read: (keys: LogKeys, after: string) => Promise<LogRead>;
  readonly #onApplied: (id: string) => void;
  #working: Promise<void> | null = null;
  /** What the live channel brought while we were reading. */
  #held: [id: string, prev: string, body: string][] = [];

  constructor(
    source: LogSource,
    read: (keys: LogKeys, after: string) => Promise<LogRead>,
    onApplied: (id: string) => void,
  ) {
    this.source = source;
    this.#read = read;
    this.#onApplied = onApplied;
  }

  /** The state is being loaded for the first time. */
  get isLoading(): boolean {
    return this.last === null && this.#working !== null;
  }

  /** An entry from the live channel. One that does not follow the last is left to `catchUp`. */
  live(id: string, prev: string, body: string): void {
    this.unheard = 0;
    if (this.#working) {
      if (this.#held.length < HELD_MAX) this.#held.push([id, prev, body]);
      return;
    }
    if (this.last === null || compareIds(id, this.last) <= 0) return;
    if (prev === this.last && this.#apply(id, body)) return;
    void this.catchUp().catch(() => {});
  }

  /** Does the log end where we are? Called by each comparison. */
  isAt(ready: boolean, last: string): boolean {
    if (this.last === last) this.unheard = 0;
    else if (this.last !== null) this.unheard++;
    return ready && this.last === last;
  }

  /** Loads, or reads on to the end of the log. Rejects when Redis or Postgres does not answer. */
  catchUp(): Promise<void> {
    this.#working ??= this.#catchUp().finally(() => {
      this.#working = null;
      for (const entry of this.#held.splice(0)) this.live(...entry);
    });
    return this.#working;
  }

  async #catchUp(): Promise<void> {
    if (this.last === null) this.last = await this.source.load(false);
    for (let i = 0; i < READS_MAX; i++) {
      const read = await this.#read(this.source.keys, this.last);
      const first = read.entries[0];
      const follows = first ? first.prev === this.last : read.last === this.last;
      if (!read.ready || !follows) break;
      for (const entry of read.entries) {
        if (this.#apply(entry.id, entry.body)) continue;
        this.last = await this.source.load(false);
        return;
      }
      if (read.entries.length < READ_MAX) return;
    }
    this.last = await this.source.load(true);
  }

  /** False when the entry does not say enough: then the state must be loaded anew. */
  #apply(id: string, body: string): boolean {
    const isApplied = this.source.apply(body);
    this.last = isApplied ? id : null;
    if (isApplied) this.#onApplied(id);
    return isApplied;
  }
}

/** Orders stream ids (`<ms>-<seq>`). */
export function compareIds(a: string, b: string): number {
  const [aMs = 0, aSeq = 0] = a.split('-').map(Number);
  const [bMs = 0, bSeq = 0] = b.split('-').map(Number);
  return aMs - bMs || aSeq - bSeq;
}
