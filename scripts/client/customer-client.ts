/**
 * A customer's app without a screen: posts jobs, follows them over the feed, hears who is coming
 * and where he is. A post carries its own idempotency key, so that asking again never makes a
 * second job. Used by the replay, the demo and the tests.
 */
import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { isActive } from '../../engine/domain/job.ts';
import { type ClientEventMap, relay } from './client-events.ts';
import { Connection, type ConnectionOptions } from './connection.ts';
import { Feed } from './feed.ts';
import type { DriverCard, DriverLocation, Job, JobStatusChange, ServerFrame } from './protocol.ts';
import { askHttp, type Way } from './requests.ts';
import type { FinalReply } from './retry.ts';

const CONNECT_MS = 30_000;

export interface CustomerEventMap extends ClientEventMap {
  status: [change: JobStatusChange];
  /** A driver has taken the job. */
  assigned: [jobId: string, driver: DriverCard];
  location: [location: DriverLocation];
}

export interface NewJob {
  address: string;
  lat?: number;
  lng?: number;
  total_price: number;
  truck_type?: string;
  notes?: string;
  expires_at?: string;
}

export type PostResult =
  | { ok: true; job: Job; tries: number }
  | { ok: false; code: string; data: unknown; tries: number };

export interface CustomerClient {
  readonly events: EventEmitter<CustomerEventMap>;
  /** His active jobs. */
  readonly jobs: ReadonlyMap<string, Job>;
  readonly live: boolean;
  /** Resolves with the first snapshot. Rejects, and closes, when there is none in 30 s. */
  connect(): Promise<void>;
  post(job: NewJob): Promise<PostResult>;
  cancel(jobId: string, reason?: string): Promise<FinalReply>;
  /** Ends the connection for good. */
  close(): void;
}

export function createCustomerClient(options: ConnectionOptions): CustomerClient {
  return new Customer(options);
}

class Customer implements CustomerClient {
  readonly events = new EventEmitter<CustomerEventMap>();
  readonly #feed = new Feed(isActive, { added() {}, changed() {}, gone() {} });
  readonly #way: Way;

  constructor(options: ConnectionOptions) {
    const take = (frame: ServerFrame): void => this.#take(frame);
    const connection = new Connection(options, relay(this.events, take));
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

  async post(job: NewJob): Promise<PostResult> {
    const {
      ok,
      code = 'unknown',
      data,
      tries,
    } = await askHttp(this.#way, {
      method: 'POST',
      path: '/api/jobs',
      body: job,
      idempotencyKey: randomUUID(),
    });
    if (!ok) return { ok, code, data, tries };
    const posted = (data as { job: Job }).job;
    this.#feed.put(posted);
    return { ok, job: posted, tries };
  }

  cancel(jobId: string, reason?: string): Promise<FinalReply> {
    const body = reason === undefined ? {} : { reason };
    const path = `/api/jobs/${encodeURIComponent(jobId)}/cancel`;
    return askHttp(this.#way, { method: 'POST', path, body });
  }

  close(): void {
    this.#way.connection.close();
  }

  #take(frame: ServerFrame): void {
    this.#feed.apply(frame);
    if (frame.event === 'job:status') this.events.emit('status', frame.data);
    else if (frame.event === 'driver:location') this.events.emit('location', frame.data);
    else if (frame.event === 'job:driver-assigned') {
      this.events.emit('assigned', frame.data.job_id, frame.data.driver);
    }
  }
}
