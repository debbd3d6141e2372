/** A real api process for clients that are broken or hostile, and two that are not: they notice nothing. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, inject } from 'vitest';
import type { ManagedProcess } from '../../scripts/dev/managed-process.ts';
import { logFileOf, startOwnProcess } from '../../scripts/dev/own-process.ts';
import { cleanups, HERE } from './engine.ts';
import { TestClient, tokenFor } from './feed.ts';
import { RawSocket, upgradeRequest } from './raw-socket.ts';
import { freshDatabase, freshRedis } from './servers.ts';
import { until } from './until.ts';

/** Hostile connections at once; each user may have three. */
export const ATTACKERS = 12;

interface Good {
  driver: TestClient;
  customer: TestClient;
}

export class FuzzTarget {
  readonly url: string;
  readonly port: number;
  /** Jobs that the well-behaved were told of. */
  readonly jobs: string[] = [];
  readonly #api: ManagedProcess;
  readonly #logFile: string;
  readonly #good: Good;

  private constructor(url: string, api: ManagedProcess, logFile: string, good: Good) {
    this.url = url;
    this.port = Number(new URL(url).port);
    this.#api = api;
    this.#logFile = logFile;
    this.#good = good;
  }

  /** Ends with the test file. */
  static async start(): Promise<FuzzTarget> {
    const redis = await freshRedis();
    cleanups.push(() => redis.stop());
    const env = {
      ...process.env,
      DATABASE_URL: await freshDatabase(),
      REDIS_URL: redis.url,
      AUTH_JWT_SECRET: 's'.repeat(32),
      HOST: '127.0.0.1',
      PORT: '0',
      LOG_LEVEL: 'warn',
    };
    const logFile = { logDir: inject('suiteDir'), name: `fuzz-api-${process.pid}` };
    const started = Promise.withResolvers<ManagedProcess>();
    const onSpawn = (managed: ManagedProcess) => {
      started.resolve(managed);
      cleanups.push(() => managed.stop(5000));
    };
    const options = { ...logFile, entry: 'api/main.ts', env, onSpawn };
    const { url } = await startOwnProcess<{ url: string }>(options, 'listening');
    for (const id of ['good', ...Array.from({ length: ATTACKERS }, (_, i) => `bad${i}`)]) {
      const change = { name: id, approval_status: 'approved' };
      await call(url, ['operator', 'op'], 'PUT', `/api/drivers/${id}`, change);
    }
    const feed = `${url.replace('http', 'ws')}/ws`;
    const good = {
      driver: await TestClient.connect(feed, 'driver', 'good'),
      customer: await TestClient.connect(feed, 'customer', 'good'),
    };
    cleanups.push(() => {
      good.driver.ws.terminate();
      good.customer.ws.terminate();
    });
    await good.driver.ask('availability', { online: true });
    await good.driver.ask('location', HERE);
    const target = new FuzzTarget(url, await started.promise, logFileOf(logFile), good);
    await target.postAndHear();
    return target;
  }

  /** Posts a job; both well-behaved clients must hear of it on the sockets that they have. */
  async postAndHear(): Promise<void> {
    const { driver, customer } = this.#good;
    const as = ['customer', 'good'] as const;
    const body = { address: `${this.jobs.length} Main St`, ...HERE, total_price: 10 };
    const response = await call(this.url, as, 'POST', '/api/jobs', body);
    expect(response.status).toBe(201);
    const { job } = (await response.json()) as { job: { id: string } };
    await until(() => driver.feed().has(job.id), { what: 'the driver has the job' });
    await call(this.url, as, 'POST', `/api/jobs/${job.id}/cancel`, {});
    await customer.next('job:status', ({ job_id }) => job_id === job.id);
    this.jobs.push(job.id);
    expect([driver.closed, customer.closed]).toEqual([null, null]);
  }

  /** The same process serves the same sessions, without an error in its log. */
  async isUnharmed(): Promise<void> {
    await this.postAndHear();
    expect(await this.#good.driver.ask('heartbeat')).toMatchObject({ ok: true });
    expect((await fetch(`${this.url}/healthz`)).status).toBe(200);
    expect(this.#api.child.exitCode).toBeNull();
    expect(readFileSync(this.#logFile, 'utf8').match(/"level":[56]0.*/g)).toBeNull();
  }

  async metric(name: string): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const line = text.split('\n').find((one) => one.startsWith(name));
    return Number(line?.split(' ').at(-1) ?? 0);
  }

  /** Its resident memory; where there is no /proc, as Node's own metrics tell it. */
  async rssMib(): Promise<number> {
    return (await this.metric('process_resident_memory_bytes ')) / 2 ** 20;
  }

  openFiles(): number {
    return process.platform === 'linux' ? readdirSync(`/proc/${this.#api.pid}/fd`).length : 0;
  }

  /** A connection of a driver that is let in. */
  async open(user: string): Promise<RawSocket> {
    for (;;) {
      const raw = await RawSocket.connect(this.port);
      await raw.write(upgradeRequest(await tokenFor('driver', user)));
      await until(() => raw.status !== 0 || raw.ended, { what: 'an answer to the upgrade' });
      // One user may connect ten times a second: a fast machine waits for its turn.
      if (raw.status === 429) continue;
      expect(raw.status).toBe(101);
      return raw;
    }
  }
}

async function call(
  url: string,
  [role, sub]: readonly [string, string],
  method: string,
  path: string,
  body: object,
) {
  const authorization = `Bearer ${await tokenFor(role, sub)}`;
  const headers = { authorization, 'content-type': 'application/json' };
  return fetch(url + path, { method, headers, body: JSON.stringify(body) });
}
