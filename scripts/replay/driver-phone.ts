/**
 * One simulated driver's app: account, device token, socket; reports fixes, goes online and
 * offline, taps, declines, and works off what it won. What it sees becomes facts for the ledger.
 */
import { createHash } from 'node:crypto';
import { createDriverClient, type DriverClient } from '../client/driver-client.ts';
import type { Job } from '../client/protocol.ts';
import type { Caller } from './caller.ts';
import { nowMs } from './clock.ts';
import { type DriverView, driverId, type Fact, type PhoneKind } from './facts.ts';
import { PhoneLine } from './phone-line.ts';
import type { Random } from './random.ts';

export interface DriverPhoneOptions {
  driver: number;
  run: string;
  kind: PhoneKind;
  random: Random;
  url: string;
  caller: Caller;
  /** The number of a job of this run; undefined for other jobs. */
  jobNumber(job: Job): number | undefined;
  tell(fact: Fact): void;
}

/** Hex of 64 characters, as a phone would register it. */
export function deviceToken(userId: string): string {
  return createHash('sha256').update(userId).digest('hex');
}

export class DriverPhone {
  readonly id: string;
  readonly line: PhoneLine;
  readonly #client: DriverClient;
  readonly #options: DriverPhoneOptions;
  #free = false;
  #position: { lat: number; lng: number } | null = null;
  /** The availability that the deployment was told last, or is being told. */
  #switched: Promise<void> = Promise.resolve();
  readonly #working = new Map<string, NodeJS.Timeout>();

  constructor(options: DriverPhoneOptions) {
    const { driver, run, url, caller } = options;
    this.#options = options;
    this.id = driverId(run, driver);
    this.line = new PhoneLine(options.kind, options.random);
    this.#client = createDriverClient({
      url,
      getToken: () => caller.token('driver', this.id),
      createConnection: this.line.createConnection,
      random: this.line.random,
    });
    this.#listen();
  }

  get live(): boolean {
    return this.#client.live;
  }

  get view(): DriverView {
    const { driver } = this.#options;
    const jobs = [...this.#client.jobs.keys()];
    return { driver, free: this.#free, position: this.#position, jobs };
  }

  /** An approved account, a registered phone, a live socket. Throws `CallError`. */
  async prepare(operator: string): Promise<void> {
    const { caller, driver } = this.#options;
    await caller.call('operator', operator, {
      method: 'PUT',
      path: `/api/drivers/${this.id}`,
      body: { name: `Driver ${driver + 1}`, approval_status: 'approved' },
    });
    const body = { token: deviceToken(this.id) };
    const call = { method: 'POST', path: '/api/push/tokens', body } as const;
    await caller.call('driver', this.id, call);
    await this.#client.connect();
  }

  /** Availability goes out only when it changed. */
  fix(lat: number, lng: number, free: boolean): void {
    this.#position = { lat, lng };
    this.#client.location(this.#position);
    if (this.#free === free) return;
    this.#free = free;
    this.#switch();
  }

  /** Resolves when the deployment knows for certain whether he takes jobs. */
  async settle(): Promise<void> {
    this.#switch();
    await this.#switched;
  }

  /** Asks until it is answered or has waited 30 s. */
  async tap(tap: number, jobId: string): Promise<void> {
    const sentMs = nowMs();
    const result = await this.#client.accept(jobId);
    const code = result.ok ? null : result.code;
    this.#options.tell({ is: 'answered', tap, sentMs, atMs: nowMs(), ok: result.ok, code });
  }

  decline(jobId: string): void {
    void this.#client.decline(jobId, 'too far');
  }

  /** Works on a job: sets off at once and is done a while later. */
  work(jobId: string, forMs: number): void {
    void this.#report(jobId, 'en_route');
    this.#working.set(
      jobId,
      setTimeout(() => void this.#complete(jobId), forMs),
    );
  }

  async finishWork(): Promise<void> {
    for (const jobId of [...this.#working.keys()]) await this.#complete(jobId);
  }

  /** Offline and without a phone, as far as the server still answers. */
  async leave(): Promise<void> {
    const { caller } = this.#options;
    await this.#switched;
    if (this.#free) await this.#client.availability(false);
    const path = `/api/push/tokens/${deviceToken(this.id)}`;
    await caller.call('driver', this.id, { method: 'DELETE', path }).catch(() => {});
  }

  close(): void {
    for (const timer of this.#working.values()) clearTimeout(timer);
    this.#client.close();
  }

  #listen(): void {
    const { driver, tell, jobNumber } = this.#options;
    const { events } = this.#client;
    const offered = (found: Job): void => {
      const job = jobNumber(found);
      if (job === undefined) return;
      tell({ is: 'offered', job, id: found.id, driver, atMs: nowMs() });
    };
    events.on('offered', offered);
    events.on('gone', (found) => {
      const job = jobNumber(found);
      if (job !== undefined) tell({ is: 'gone', job, driver, atMs: nowMs() });
    });
    events.on('live', () => {
      tell({ is: 'up', driver, atMs: nowMs() });
      // Jobs held before and now make no event of their own.
      for (const job of this.#client.jobs.values()) offered(job);
    });
    events.on('disconnected', () => tell({ is: 'down', driver, atMs: nowMs() }));
  }

  /** One after the other: two calls over different ways could overtake each other. */
  #switch(): void {
    this.#switched = this.#switched.then(async () => {
      const free = this.#free;
      const { ok } = await this.#client.availability(free);
      const { driver, tell } = this.#options;
      if (ok && free) tell({ is: 'online', driver, atMs: nowMs() });
    });
  }

  async #complete(jobId: string): Promise<void> {
    clearTimeout(this.#working.get(jobId));
    if (!this.#working.delete(jobId)) return;
    await this.#report(jobId, 'completed');
    this.#options.tell({ is: 'worked', driver: this.#options.driver });
  }

  /** A failure here, such as a job cancelled by somebody, does not affect the run. */
  async #report(jobId: string, status: string): Promise<void> {
    const path = `/api/drivers/jobs/${jobId}/status`;
    const call = { method: 'POST', path, body: { status } } as const;
    await this.#options.caller.call('driver', this.id, call).catch(() => {});
  }
}
