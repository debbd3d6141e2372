/**
 * A driver's app without a screen: the live feed as a map of jobs and as events, and the verbs of
 * a driver. Whatever can be lost on the way is asked again until the server has said what is true.
 * Used by the replay, the demo and the tests; `docs/driver-apps.md` shows it.
 */
import { EventEmitter } from 'node:events';
import { isClaimable } from '../../engine/domain/job.ts';
import { Connection, type ConnectionOptions, type Ended } from './connection.ts';
import { type AddedBy, Feed, type GoneReason } from './feed.ts';
import type { LinkEnd } from './link.ts';
import type { FeedNotification, Fix, Job, ServerFrame } from './protocol.ts';
import { ask, type Request, type Way } from './requests.ts';
import type { FinalReply } from './retry.ts';

/** How long `connect()` tries before it gives up; reconnects afterwards have no such limit. */
const CONNECT_MS = 30_000;

export interface DriverEvents {
  /** A job entered the feed. */
  offered: [job: Job, by: AddedBy];
  changed: [job: Job];
  /** It left the feed: taken, cancelled, out of range, … */
  gone: [job: Job, reason: GoneReason];
  snapshot: [reason: string];
  /** The feed may be stale (`false`) or is exact again (`true`). */
  exact: [exact: boolean];
  notification: [notification: FeedNotification];
  /** The server's `error` frame: why it is about to close, or which frame it did not accept. */
  problem: [code: string, message: string];
  disconnected: [end: LinkEnd & { retryInMs: number }];
  /** No further attempt will be made. */
  ended: [end: Ended];
}

export type AcceptResult =
  | { ok: true; job: Job; tries: number }
  | { ok: false; code: string; message: string; tries: number };

export interface DriverClient {
  readonly jobs: ReadonlyMap<string, Job>;
  readonly live: boolean;
  on: EventEmitter<DriverEvents>['on'];
  off: EventEmitter<DriverEvents>['off'];
  /** Resolves with the first snapshot. Rejects, and closes, when there is none in 30 s. */
  connect(): Promise<void>;
  /** Safe to call again: the winner gets the same answer, and `no_answer` promises nothing. */
  accept(jobId: string, over?: 'http'): Promise<AcceptResult>;
  decline(jobId: string, reason?: string): Promise<FinalReply>;
  /** A later call overrules an earlier one that is still being tried. */
  availability(online: boolean): Promise<FinalReply>;
  /** Fire and forget; while the link is down the newest fix waits for it. */
  location(fix: Fix): void;
  close(): void;
}

export function createDriverClient(options: ConnectionOptions): DriverClient {
  return new Driver(options);
}

class Driver implements DriverClient {
  readonly #events = new EventEmitter<DriverEvents>();
  readonly #feed: Feed;
  readonly #way: Way;
  readonly on = this.#events.on.bind(this.#events);
  readonly off = this.#events.off.bind(this.#events);
  #waitingFix: Fix | undefined;
  #availabilityCalls = 0;

  constructor(options: ConnectionOptions) {
    const events = this.#events;
    this.#feed = new Feed(isClaimable, {
      added: (job, by) => events.emit('offered', job, by),
      changed: (job) => events.emit('changed', job),
      gone: (job, reason) => events.emit('gone', job, reason),
    });
    const connection = new Connection(options, {
      frame: (frame) => this.#take(frame),
      disconnected: (end) => events.emit('disconnected', end),
      ended: (end) => events.emit('ended', end),
    });
    this.#way = { url: options.url, getToken: options.getToken, connection };
  }

  get jobs(): ReadonlyMap<string, Job> {
    return this.#feed.jobs;
  }

  get live(): boolean {
    return this.#way.connection.live;
  }

  async connect(): Promise<void> {
    await this.#way.connection.connect(CONNECT_MS);
  }

  async accept(jobId: string, over?: 'http'): Promise<AcceptResult> {
    const request: Request<'accept'> = {
      event: 'accept',
      data: { job_id: jobId },
      call: { method: 'POST', path: `/api/drivers/jobs/${encodeURIComponent(jobId)}/accept` },
    };
    return toAcceptResult(await ask(this.#way, request, over));
  }

  decline(jobId: string, reason?: string): Promise<FinalReply> {
    const body = reason === undefined ? {} : { reason };
    return ask(this.#way, {
      event: 'decline',
      data: { job_id: jobId, ...body },
      call: {
        method: 'POST',
        path: `/api/drivers/jobs/${encodeURIComponent(jobId)}/decline`,
        body,
      },
    });
  }

  availability(online: boolean): Promise<FinalReply> {
    this.#availabilityCalls += 1;
    const mine = this.#availabilityCalls;
    const request: Request<'availability'> = {
      event: 'availability',
      data: { online },
      call: { method: 'PUT', path: '/api/drivers/me/availability', body: { online } },
    };
    return ask(this.#way, request, undefined, () => mine !== this.#availabilityCalls);
  }

  location(fix: Fix): void {
    this.#waitingFix = this.#way.connection.send('location', fix) ? undefined : fix;
  }

  close(): void {
    this.#way.connection.close();
  }

  #take(frame: ServerFrame): void {
    const events = this.#events;
    this.#feed.apply(frame);
    if (frame.event === 'feed:snapshot') events.emit('snapshot', frame.data.reason);
    else if (frame.event === 'feed:degraded') events.emit('exact', false);
    else if (frame.event === 'feed:live') events.emit('exact', true);
    else if (frame.event === 'notification') events.emit('notification', frame.data);
    else if (frame.event === 'error') events.emit('problem', frame.data.code, frame.data.message);
  }
}

function toAcceptResult(reply: FinalReply): AcceptResult {
  const { ok, code = 'unknown', data, tries } = reply;
  if (ok) return { ok, job: (data as { job: Job }).job, tries };
  const message = (data as { error?: unknown } | null | undefined)?.error;
  return { ok, code, message: String(message ?? code), tries };
}
