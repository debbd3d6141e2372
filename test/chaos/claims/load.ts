/**
 * The clients: customers who post and cancel, drivers who tap, give back and tap again. Each asks
 * until it has an answer, as apps do, and writes down what it asked and what it was told.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, callHttp, codeOf } from '../../../scripts/client/http.ts';
import { mintToken, type Role } from '../../../scripts/dev/tokens.ts';
import { HERE } from '../../support/engine.ts';
import { SECRET } from './deployment.ts';
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

/** How long somebody asks: until he is told, until a call breaks, or once. */
type Patience = 'until told' | 'until broken' | 'once';

interface Asking {
  body?: object;
  idempotencyKey?: string;
  patience?: Patience;
  onTry?: () => void;
}

const TOKEN_TTL_S = 3600;
/** A client gives one call so long. */
const CALL_MS = 3000;
/** Who has no answer after so long never gets one: the job is stuck. */
const PATIENCE_MS = 90_000;
/** Apps ask again after 150, 300, 600 … ms: hundreds in a storm would starve what must come back. */
const PAUSE_MS = 150;
const PAUSE_MAX_MS = 1000;

export class Load {
  readonly history: History = { jobs: [], taps: [], ends: [] };
  readonly #urls: readonly string[];
  readonly #tokens = new Map<string, Promise<string>>();

  constructor(urls: readonly string[]) {
    this.#urls = urls;
  }

  /** Approved drivers, online, all in one place. */
  async prepare(): Promise<void> {
    for (let i = 0; i < DRIVERS; i++) {
      const id = `d${i}`;
      const profile = { name: `Driver ${i}`, approval_status: 'approved' };
      const answers = [
        await this.#ask('operator', 'op', 0, 'PUT', `/api/drivers/${id}`, { body: profile }),
        await this.#ask('driver', id, 0, 'PUT', '/api/drivers/me/availability', {
          body: { online: true },
        }),
        await this.#ask('driver', id, 0, 'POST', '/api/drivers/location', { body: HERE }),
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
    letThrough: () => Promise<void>,
  ): Promise<{ late: TapRecord; next: TapRecord; third: TapRecord }> {
    const job = await this.#post(customer, 1, `overtaken-${customer}`);
    const late = await this.#tap(job, 'd0', 0, 'once');
    const next = await this.#tap(job, 'd1', 1);
    await this.#end(job, 'd1', 'd1', 1);
    await letThrough();
    return { late, next, third: await this.#tap(job, 'd2', 1) };
  }

  token(role: Role, sub: string): Promise<string> {
    const key = `${role}:${sub}`;
    const token =
      this.#tokens.get(key) ?? mintToken({ role, sub, ttlS: TOKEN_TTL_S, secret: SECRET });
    this.#tokens.set(key, token);
    return token;
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
    const answer = await this.#ask('driver', driver, api, 'POST', path, { patience, onTry });
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
    const posted = await this.#ask('customer', customer, api, 'POST', '/api/jobs', asking);
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
      ? await this.#ask('driver', sub, api, 'POST', `/api/drivers/jobs/${job}/release`)
      : await this.#ask('customer', sub, api, 'POST', `/api/jobs/${job}/cancel`);
    if (answer) record.answeredAt = Date.now();
  }

  /** The first answer that says something; null when none came in all the time that he asks. */
  async #ask(
    role: Role,
    sub: string,
    api: number,
    method: 'POST' | 'PUT',
    path: string,
    { body, idempotencyKey, patience = 'until told', onTry }: Asking = {},
  ): Promise<Answer | null> {
    const token = await this.token(role, sub);
    const until = performance.now() + PATIENCE_MS;
    let pauseMs = PAUSE_MS;
    // The next try goes to the other api, as through a load balancer.
    for (let i = api; performance.now() < until; i++) {
      onTry?.();
      let broken = false;
      const answer = await callHttp(this.#urls[i % this.#urls.length] as string, {
        method,
        path,
        token,
        timeoutMs: CALL_MS,
        ...(body && { body }),
        ...(idempotencyKey !== undefined && { idempotencyKey }),
      }).catch(() => {
        broken = true;
        return null;
      });
      if (answer && answer.status < 500 && answer.status !== 429) return answer;
      if (patience === 'once' || (broken && patience === 'until broken')) return null;
      await sleep(pauseMs);
      pauseMs = Math.min(PAUSE_MAX_MS, 2 * pauseMs);
    }
    return null;
  }
}
