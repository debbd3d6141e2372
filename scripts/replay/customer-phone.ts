/**
 * One simulated customer's app: registered and connected before the clock starts, posts jobs and
 * hears who takes them. What it sees becomes facts for the ledger.
 */
import { type CustomerClient, createCustomerClient } from '../client/customer-client.ts';
import type { Caller } from './caller.ts';
import { nowMs } from './clock.ts';
import { deviceToken } from './driver-phone.ts';
import { customerId, type Fact } from './facts.ts';
import { PhoneLine } from './phone-line.ts';
import type { Random } from './random.ts';

/** Prices repeat; they only have to be made up and valid. */
const PRICE_MIN = 40;
const PRICES = 160;

export interface CustomerPhoneOptions {
  customer: number;
  run: string;
  random: Random;
  url: string;
  caller: Caller;
  tell(fact: Fact): void;
}

export class CustomerPhone {
  readonly id: string;
  readonly line: PhoneLine;
  readonly #client: CustomerClient;
  readonly #options: CustomerPhoneOptions;
  readonly #told = new Set<string>();
  #liveSinceMs = 0;

  constructor(options: CustomerPhoneOptions) {
    const { customer, run, random, url, caller } = options;
    this.#options = options;
    this.id = customerId(run, customer);
    this.line = new PhoneLine('good', random);
    this.#client = createCustomerClient({
      url,
      getToken: () => caller.token('customer', this.id),
      createConnection: this.line.createConnection,
      random: this.line.random,
    });
    this.#listen();
  }

  get live(): boolean {
    return this.#client.live;
  }

  /** A registered phone and a live socket. Throws `CallError`. */
  async prepare(): Promise<void> {
    const body = { token: deviceToken(this.id) };
    const call = { method: 'POST', path: '/api/push/tokens', body } as const;
    await this.#options.caller.call('customer', this.id, call);
    await this.#client.connect();
  }

  /** Posts the job until it is answered or has waited 30 s. */
  async post(job: number, lat: number, lng: number): Promise<void> {
    const { run, tell } = this.#options;
    tell({ is: 'sent', job, atMs: nowMs() });
    const result = await this.#client.post({
      address: `${job + 1} Market Street`,
      lat,
      lng,
      total_price: PRICE_MIN + (job % PRICES),
      notes: jobNote(run, job),
    });
    const id = result.ok ? result.job.id : null;
    tell({ is: 'posted', job, atMs: nowMs(), id, code: result.ok ? null : result.code });
  }

  async leave(): Promise<void> {
    const path = `/api/push/tokens/${deviceToken(this.id)}`;
    const { caller } = this.#options;
    await caller.call('customer', this.id, { method: 'DELETE', path }).catch(() => {});
  }

  close(): void {
    this.#client.close();
  }

  #listen(): void {
    const { events } = this.#client;
    events.on('live', () => {
      this.#liveSinceMs = nowMs();
    });
    events.on('assigned', (id) => this.#hear(id));
    // The snapshot has what was missed while the line was down.
    events.on('snapshot', () => {
      for (const { id, driver_id } of this.#client.jobs.values()) if (driver_id) this.#hear(id);
    });
  }

  #hear(id: string): void {
    if (this.#told.has(id)) return;
    this.#told.add(id);
    this.#options.tell({ is: 'told', id, atMs: nowMs(), sinceMs: this.#liveSinceMs });
  }
}

/** Marks a job as one of this run, with its number; the feeds may have other jobs as well. */
function jobNote(run: string, job: number): string {
  return `${run} ${job}`;
}

export function jobNumberOf(run: string, notes: string | null): number | undefined {
  if (!notes?.startsWith(`${run} `)) return undefined;
  const number = Number(notes.slice(run.length + 1));
  return Number.isInteger(number) ? number : undefined;
}
