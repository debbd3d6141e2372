/**
 * The clients: customers who post and cancel, drivers who tap, give back and tap again. Each writes down
 * what it asked and what it was told.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf } from '../../../scripts/client/http.ts';
import type { Role } from '../../../scripts/dev/tokens.ts';
import { HERE } from '../../support/engine.ts';
import { Caller, type Patience } from './caller.ts';
import type { HeldClaim } from './commit-proxy.ts';
import { DRIVERS, type Plan, type PlannedJob, type Tap } from './plan.ts';

/** What one driver was told in the end about one job. */
export interface TapRecord {
  job: string;
  driver: string;
  askedAt: number;
  answeredAt: number;
  tries: number;
  /** `won`, the code of a refusal, `unanswered`, or `gave up`. */
  outcome: string;
}

/** Somebody asked for the end of a holding: its driver to give it back, or its customer to cancel. */
export interface EndRecord {
  job: string;
  /** Null: the customer. */
  driver: string | null;
  /** Infinity while he has no answer: it may happen yet. */
  answeredAt: number;
}

export interface History {
  jobs: string[];
  taps: TapRecord[];
  ends: EndRecord[];
}

/** Each makes one more connection know the statement of claims. */
const HOLD_TRIES = 50;

export class Load {
  readonly history: History = { jobs: [], taps: [], ends: [] };
  readonly #caller: Caller;

  constructor(urls: readonly string[]) {
    this.#caller = new Caller(urls);
  }

  token(role: Role, sub: string): Promise<string> {
    return this.#caller.token(role, sub);
  }

  /** Approved drivers, online, all in one place. */
  async prepare(): Promise<void> {
    for (let i = 0; i < DRIVERS; i++) {
      const id = `d${i}`;
      const profile = { name: `Driver ${i}`, approval_status: 'approved' };
      const answers = [
        await this.#caller.ask('operator', 'op', 0, 'PUT', `/api/drivers/${id}`, { body: profile }),
        await this.#caller.ask('driver', id, 0, 'PUT', '/api/drivers/me/availability', {
          body: { online: true },
        }),
        await this.#caller.ask('driver', id, 0, 'POST', '/api/drivers/location', { body: HERE }),
      ];
      const bad = answers.find((answer) => !answer || answer.status >= 300);
      if (bad) throw new Error(`${id} cannot work: ${JSON.stringify(bad)}`);
    }
  }

  /** Resolves when every planned job was posted and everybody has his answer. */
  async run(plan: Plan): Promise<void> {
    const started = performance.now();
    await Promise.all(
      plan.jobs.map(async (job, n) => {
        await sleep(Math.max(0, job.atMs - (performance.now() - started)));
        await this.#live(plan.seed, n, job);
      }),
    );
  }

  /** A job for others to tap. */
  post(customer: string, api: number): Promise<string> {
    return this.#post(customer, api, `post-${customer}`);
  }

  /** A job that this driver was told he has. */
  async held(customer: string, driver: string): Promise<string> {
    const job = await this.post(customer, 0);
    const { outcome } = await this.#tap(job, driver, 0);
    if (outcome !== 'won') throw new Error(`${driver} was told ${outcome}`);
    return job;
  }

  /** One more job through this api, for an interruption that met no claim yet. */
  async extra(customer: string, api: number): Promise<void> {
    await this.#tap(await this.#post(customer, api, `extra-${customer}`), 'd0', api);
  }

  /**
   * A phone whose call breaks is not heard of again, and another driver wants the job: first through
   * the api that will be gone, then through the other one until he is told.
   */
  async orphaned(customer: string): Promise<{ lost: TapRecord; next: TapRecord }> {
    const job = await this.#post(customer, 1, `orphaned-${customer}`);
    const lost = await this.#tap(job, 'd0', 0, 'until broken');
    return { lost, next: await this.#tap(job, 'd1', 1) };
  }

  /**
   * A claim does not arrive in time, and its driver does not ask again. Another one takes the job and
   * gives it back; then the claim arrives, and a third one taps.
   */
  async overtaken(
    customer: string,
    claim: HeldClaim,
  ): Promise<{ late: TapRecord; next: TapRecord; third: TapRecord }> {
    let late: TapRecord;
    let tries = 0;
    do {
      const job = await this.#post(customer, 1, `overtaken-${customer}-${tries++}`);
      late = await this.#tap(job, 'd0', 0, 'once');
    } while (!claim.isHeld && tries < HOLD_TRIES);
    const { job } = late;
    const next = await this.#tap(job, 'd1', 1);
    await this.#end(job, 'd1', 'd1', 1);
    await claim.letThrough();
    return { late, next, third: await this.#tap(job, 'd2', 1) };
  }

  async #live(seed: number, n: number, job: PlannedJob): Promise<void> {
    const customer = `c${n}`;
    const id = await this.#post(customer, job.api, `chaos-${seed}-${n}`);
    const cancel = async () => {
      if (job.cancelAfterMs === null) return;
      await sleep(job.cancelAfterMs);
      await this.#end(id, customer, null, job.api);
    };
    const [winners] = await Promise.all([this.#tapAll(id, job.taps), cancel()]);
    if (job.releaseAfterMs === null) return;
    for (const winner of winners) {
      await sleep(job.releaseAfterMs);
      await this.#end(id, winner, winner, job.api);
      // Who gave it back is barred from it, whatever he tries.
      await Promise.all([this.#tapAll(id, job.againTaps), this.#tap(id, winner, job.api)]);
    }
  }

  /** Who was told that he has it. */
  async #tapAll(job: string, taps: readonly Tap[]): Promise<string[]> {
    const records = await Promise.all(
      taps.map(async ({ driver, afterMs, api, givesUp }) => {
        await sleep(afterMs);
        return this.#tap(job, `d${driver}`, api, givesUp ? 'until broken' : 'until told');
      }),
    );
    return records.filter(({ outcome }) => outcome === 'won').map(({ driver }) => driver);
  }

  async #tap(
    job: string,
    driver: string,
    api: number,
    patience: Patience = 'until told',
  ): Promise<TapRecord> {
    const askedAt = Date.now();
    let tries = 0;
    const path = `/api/drivers/jobs/${job}/accept`;
    const onTry = () => tries++;
    const answer = await this.#caller.ask('driver', driver, api, 'POST', path, { patience, onTry });
    const none = patience === 'until told' ? 'unanswered' : 'gave up';
    const outcome = !answer ? none : answer.status === 200 ? 'won' : codeOf(answer);
    const record = { job, driver, askedAt, answeredAt: Date.now(), tries, outcome };
    this.history.taps.push(record);
    return record;
  }

  /** Posts until it is posted; the job's id. */
  async #post(customer: string, api: number, idempotencyKey: string): Promise<string> {
    const body = { address: `of ${customer}`, ...HERE, total_price: 120 };
    const asking = { body, idempotencyKey };
    const posted = await this.#caller.ask('customer', customer, api, 'POST', '/api/jobs', asking);
    const id = (posted?.body as { job?: { id?: string } } | undefined)?.job?.id;
    if (id === undefined) throw new Error(`never posted by ${customer}: ${JSON.stringify(posted)}`);
    this.history.jobs.push(id);
    return id;
  }

  /** Gives back as its driver, or cancels as its customer. */
  async #end(job: string, sub: string, driver: string | null, api: number): Promise<void> {
    const record: EndRecord = { job, driver, answeredAt: Number.POSITIVE_INFINITY };
    this.history.ends.push(record);
    const answer = driver
      ? await this.#caller.ask('driver', sub, api, 'POST', `/api/drivers/jobs/${job}/release`)
      : await this.#caller.ask('customer', sub, api, 'POST', `/api/jobs/${job}/cancel`);
    if (answer) record.answeredAt = Date.now();
  }
}
