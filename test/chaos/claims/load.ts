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

export interface History {
  jobs: string[];
  taps: TapRecord[];
  /** Jobs that somebody asked to give back; the answer may have been lost on the way. */
  releases: { job: string; driver: string }[];
}

const TOKEN_TTL_S = 3600;
/** A client gives one call so long. */
const CALL_MS = 3000;
/** Who has no answer after so long never gets one: the job is stuck. */
const PATIENCE_MS = 40_000;
/** Apps ask again after 150, 300, 600 … ms: hundreds in a storm would starve what must come back. */
const PAUSE_MS = 150;
const PAUSE_MAX_MS = 1000;

export class Load {
  readonly history: History = { jobs: [], taps: [], releases: [] };
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
        await this.#ask('operator', 'op', 0, 'PUT', `/api/drivers/${id}`, profile),
        await this.#ask('driver', id, 0, 'PUT', '/api/drivers/me/availability', { online: true }),
        await this.#ask('driver', id, 0, 'POST', '/api/drivers/location', HERE),
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

  token(role: Role, sub: string): Promise<string> {
    const key = `${role}:${sub}`;
    const token =
      this.#tokens.get(key) ?? mintToken({ role, sub, ttlS: TOKEN_TTL_S, secret: SECRET });
    this.#tokens.set(key, token);
    return token;
  }

  async #live(seed: number, n: number, job: PlannedJob): Promise<void> {
    const customer = `c${n}`;
    const body = { address: `${n} Main St`, ...HERE, total_price: 120 };
    const key = `chaos-${seed}-${n}`;
    const posted = await this.#ask('customer', customer, job.api, 'POST', '/api/jobs', body, key);
    const id = (posted?.body as { job?: { id?: string } } | undefined)?.job?.id;
    if (id === undefined) throw new Error(`job ${n} was never posted: ${JSON.stringify(posted)}`);
    this.history.jobs.push(id);
    const cancel = async () => {
      if (job.cancelAfterMs === null) return;
      await sleep(job.cancelAfterMs);
      await this.#ask('customer', customer, job.api, 'POST', `/api/jobs/${id}/cancel`);
    };
    const [winners] = await Promise.all([this.#tapAll(id, job.taps), cancel()]);
    if (job.releaseAfterMs === null) return;
    for (const winner of winners) {
      await sleep(job.releaseAfterMs);
      const path = `/api/drivers/jobs/${id}/release`;
      this.history.releases.push({ job: id, driver: winner });
      await this.#ask('driver', winner, job.api, 'POST', path);
      // Who gave it back is barred from it, whatever he tries.
      await Promise.all([this.#tapAll(id, job.againTaps), this.#tap(id, winner, job.api)]);
    }
  }

  /** Who was told that he has it. */
  async #tapAll(job: string, taps: readonly Tap[]): Promise<string[]> {
    const records = await Promise.all(
      taps.map(async ({ driver, afterMs, api, givesUp }) => {
        await sleep(afterMs);
        return this.#tap(job, `d${driver}`, api, givesUp);
      }),
    );
    return records.filter(({ outcome }) => outcome === 'won').map(({ driver }) => driver);
  }

  async #tap(job: string, driver: string, api: number, givesUp = false): Promise<TapRecord> {
    const askedAt = Date.now();
    let tries = 0;
    const answer = await this.#ask(
      'driver',
      driver,
      api,
      'POST',
      `/api/drivers/jobs/${job}/accept`,
      undefined,
      undefined,
      () => tries++,
      () => givesUp,
    );
    const none = givesUp ? 'gave up' : 'unanswered';
    const outcome = !answer ? none : answer.status === 200 ? 'won' : codeOf(answer);
    const record = { job, driver, askedAt, answeredAt: Date.now(), tries, outcome };
    this.history.taps.push(record);
    return record;
  }

  /** The first answer that says something; null when none came in all the time. */
  async #ask(
    role: Role,
    sub: string,
    api: number,
    method: 'POST' | 'PUT',
    path: string,
    body?: object,
    idempotencyKey?: string,
    onTry: () => void = () => {},
    givesUp: () => boolean = () => false,
  ): Promise<Answer | null> {
    const token = await this.token(role, sub);
    const until = performance.now() + PATIENCE_MS;
    let pauseMs = PAUSE_MS;
    // The next try goes to the other api, as through a load balancer.
    for (let i = api; performance.now() < until; i++) {
      onTry();
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
      if (broken && givesUp()) return null;
      if (answer && answer.status < 500 && answer.status !== 429) return answer;
      await sleep(pauseMs);
      pauseMs = Math.min(PAUSE_MAX_MS, 2 * pauseMs);
    }
    return null;
  }
}
