/**
 * A driver's app that trusts nothing: every frame is checked against its schema and against all
 * that it was told before, and the moments at which it was told are kept. It connects again like
 * the client library, whose link and feed it is made of.
 */
import { SERVER_FRAMES } from '../../../api/feed/server-frames.ts';
import { validate } from '../../../api/validate.ts';
import { isClaimable } from '../../../engine/domain/job.ts';
import { jitterMs } from '../../../scripts/client/backoff.ts';
import { Feed } from '../../../scripts/client/feed.ts';
import { type Link, type LinkEnd, openLink } from '../../../scripts/client/link.ts';
import type { ServerFrame } from '../../../scripts/client/protocol.ts';

export class Watcher {
  readonly id: string;
  /** What a check found wrong, in words; empty is right. */
  readonly wrong: string[] = [];
  /** Each end of a connection. */
  readonly ends: LinkEnd[] = [];
  readonly #urls: readonly string[];
  readonly #token: string;
  readonly #feed = new Feed(isClaimable, { added() {}, changed() {}, gone() {} });
  /** Job → the newest version that this connection told of, and whether it was closed by then. */
  readonly #told = new Map<string, { event: string; version: number; closed: boolean }>();
  /** Event → when it came, on `performance.now()`. */
  readonly #at = new Map<string, number[]>();
  readonly #acks = new Map<string, (ok: boolean) => void>();
  #link: Link | undefined;
  #live = false;
  #attempt = 0;
  #retry: NodeJS.Timeout | undefined;
  #closing = false;

  /** Connects to the first URL, and after each loss to the next one. */
  constructor(id: string, token: string, urls: readonly string[]) {
    this.id = id;
    this.#token = token;
    this.#urls = urls;
    this.#dial();
  }

  /** Job → version, as a client that follows the protocol holds them. */
  held(): Map<string, number> {
    return new Map([...this.#feed.jobs.values()].map(({ id, version }) => [id, version]));
  }

  /** Is he connected, with a snapshot of this connection? Who is not knows that he sees nothing new. */
  get live(): boolean {
    return this.#live;
  }

  /** Was he told that his feed may be wrong, and not yet that it is right again? */
  get degraded(): boolean {
    const last = (event: ServerFrame['event']) => this.heard(event, 0).at(-1) ?? 0;
    return last('feed:degraded') > last('feed:live');
  }

  /** When `event` came since then, oldest first. */
  heard(event: ServerFrame['event'], since: number): number[] {
    return (this.#at.get(event) ?? []).filter((at) => at >= since);
  }

  /** Sends a frame and resolves with what its ack says. */
  ask(event: string, data: object): Promise<boolean> {
    const ref = `${event}-${this.#acks.size}`;
    const answer = new Promise<boolean>((resolve) => this.#acks.set(ref, resolve));
    this.#link?.send(JSON.stringify({ event, data, ref }));
    return answer;
  }

  close(): void {
    this.#closing = true;
    clearTimeout(this.#retry);
    this.#link?.terminate();
  }

  #dial(): void {
    const url = this.#urls[this.ends.length % this.#urls.length] as string;
    this.#told.clear();
    this.#link = openLink(
      { url, token: this.#token, tokenIn: 'header' },
      { frame: (frame) => this.#take(frame), down: (end) => this.#down(end) },
    );
  }

  #down(end: LinkEnd): void {
    this.#live = false;
    if (this.#closing) return;
    this.ends.push(end);
    this.#retry = setTimeout(() => this.#dial(), jitterMs(this.#attempt++));
  }

  #take(frame: ServerFrame): void {
    const times = this.#at.get(frame.event) ?? [];
    times.push(performance.now());
    this.#at.set(frame.event, times);
    for (const { field, rule } of validate(SERVER_FRAMES[frame.event], frame.data)) {
      this.wrong.push(`${frame.event}: ${field} ${rule}`);
    }
    if (frame.event === 'ack') this.#acks.get(frame.data.ref ?? '')?.(frame.data.ok);
    this.#checkOrder(frame);
    this.#feed.apply(frame);
    if (frame.event === 'feed:snapshot') this.#live = true;
  }

  /** Versions never go backwards, and what was closed is never offered again. */
  #checkOrder(frame: ServerFrame): void {
    if (frame.event === 'feed:snapshot') {
      for (const { id, version } of frame.data.jobs) this.#tell(frame.event, id, version, false);
    } else if (frame.event === 'job:new') {
      this.#tell(frame.event, frame.data.id, frame.data.version, false);
    } else if (frame.event === 'job:removed') {
      this.#tell(frame.event, frame.data.job_id, frame.data.version, false);
    } else if (frame.event === 'job:status') {
      const { job_id, version, status } = frame.data;
      this.#tell(frame.event, job_id, version, !isClaimable(status));
    }
  }

  #tell(event: string, id: string, version: number, closed: boolean): void {
    const before = this.#told.get(id);
    if (before && version < before.version) {
      this.wrong.push(
        `${event}: ${id} went from version ${before.version} (${before.event}) to ${version}`,
      );
    } else if (before?.closed && version === before.version && !closed) {
      this.wrong.push(`${event}: ${id} was closed at version ${version} and is offered again`);
    }
    this.#told.set(id, { event, version, closed });
  }
}
