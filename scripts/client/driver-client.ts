/**
 * A driver's app without a screen: the live feed as a map of jobs and as events, and the verbs of a
 * driver. Requests that may get lost are repeated until the server has said what is true.
 * Used by the replay, the demo and the tests; `docs/driver-apps.md` shows it.
 */
import { EventEmitter } from 'node:events';
import { isClaimable } from '../../engine/domain/job.ts';
import { type ClientEventMap, relay } from './client-events.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import { type AddedBy, Feed, type GoneReason } from './feed.ts';
import { type Fix, isRetryable, type Job, type ServerFrame } from './protocol.ts';
import { ask, type Request, type Way } from './requests.ts';
import { type FinalReply, NO_ANSWER } from './retry.ts';

/** How long `connect()` tries before it gives up; reconnects afterwards have no such limit. */
const CONNECT_MS = 30_000;
/** An older fix says nothing of where the driver is now. */
const FIX_FRESH_MS = 60_000;

export interface DriverEventMap extends ClientEventMap {
  /** A job entered the feed. */
  offered: [job: Job, by: AddedBy];
  changed: [job: Job];
  /** It left the feed: taken, cancelled, out of range, … */
  gone: [job: Job, reason: GoneReason];
}

export type AcceptResult =
  | { ok: true; job: Job; tries: number }
  | {
      ok: false;
      /** No answer in all that time: the job may be his, somebody else's or still open. */
      undecided: boolean;
      code: string;
      message: string;
      tries: number;
    };

export interface DriverClient {
  readonly events: EventEmitter<DriverEventMap>;
  /** The jobs that the driver may take now. */
  readonly jobs: ReadonlyMap<string, Job>;
  readonly live: boolean;
  /** Resolves with the first snapshot. Rejects, and closes, when there is none in 30 s. */
  connect(): Promise<void>;
  /** Safe to call again: the winner gets the same answer, and `no_answer` promises nothing. */
  accept(jobId: string, over?: 'http'): Promise<AcceptResult>;
  decline(jobId: string, reason?: string): Promise<FinalReply>;
  /** A later call replaces an earlier one that is still being tried. */
  availability(online: boolean): Promise<FinalReply>;
  /**
   * Fire and forget. A fix may be lost with the socket that took it, so the newest of the last minute is sent
   * again whenever the link is back.
   */
  location(fix: Fix): void;
  /** Ends the connection for good. */
  close(): void;
}

export function createDriverClient(options: ConnectionOptions): DriverClient {
  return new Driver(options);
}

class Driver implements DriverClient {
  readonly events = new EventEmitter<DriverEventMap>();
  readonly #feed: Feed;
  readonly #way: Way;
  #newest: { fix: Fix; at: number } | undefined;
  #availabilityCalls = 0;

  constructor(options: ConnectionOptions) {
    const events = this.events;
    this.#feed = new Feed(isClaimable, {
      added: (job, by) => events.emit('offered', job, by),
      changed: (job) => events.emit('changed', job),
      gone: (job, reason) => events.emit('gone', job, reason),
    });
    const take = (frame: ServerFrame): void => this.#feed.apply(frame);
    const connection = new Connection(options, relay(events, take));
    events.on('live', () => this.#sendAgain());
    this.#way = { url: options.url, connection };
  }

  get jobs(): ReadonlyMap<string, Job> {
    return this.#feed.jobs;
  }

  get live(): boolean {
    return this.#way.connection.live;
  }

  connect(): Promise<void> {
    return this.#way.connection.connect(CONNECT_MS);
  }

  async accept(jobId: string, over?: 'http'): Promise<AcceptResult> {
    const request: Request<'accept'> = {
      event: 'accept',
      data: { job_id: jobId },
      call: { method: 'POST', path: `/api/drivers/jobs/${encodeURIComponent(jobId)}/accept` },
    };
    return toAcceptResult(await ask(this.#way, request, { over }));
  }

  decline(jobId: string, reason?: string): Promise<FinalReply> {
    const body = reason === undefined ? {} : { reason };
    const path = `/api/drivers/jobs/${encodeURIComponent(jobId)}/decline`;
    return ask(this.#way, {
      event: 'decline',
      data: { job_id: jobId, ...body },
      call: { method: 'POST', path, body },
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
    return ask(this.#way, request, { stale: () => mine !== this.#availabilityCalls });
  }

  location(fix: Fix): void {
    this.#newest = { fix, at: performance.now() };
    this.#way.connection.send('location', fix);
  }

  #sendAgain(): void {
    const newest = this.#newest;
    if (newest === undefined || performance.now() - newest.at > FIX_FRESH_MS) return;
    this.#way.connection.send('location', newest.fix);
  }

  close(): void {
    this.#way.connection.close();
  }
}

function toAcceptResult({ ok, code = 'unknown', data, tries }: FinalReply): AcceptResult {
  if (ok) return { ok, job: (data as { job: Job }).job, tries };
  const message = (data as { error?: unknown } | null | undefined)?.error;
  const undecided = code === NO_ANSWER || isRetryable(code);
  return { ok, undecided, code, message: String(message ?? code), tries };
}
