/** The worker as a process of its own: how it starts, outlives its stores, and stops. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { beforeAll, describe, expect, it } from 'vitest';
import { saveDeviceToken } from '../../engine/pg/device-tokens.ts';
import { countUndone } from '../../engine/pg/notifications.ts';
import { listAttempts } from '../../engine/pg/push-attempts.ts';
import { cleanups } from '../support/engine.ts';
import { startProxy } from '../support/proxy.ts';
import { startTestPush, type TestPush } from '../support/push.ts';
import { until } from '../support/until.ts';

/** What a stop may take (contract: within 15 s), and some for a busy machine. */
const STOP_MS = 16_000;

let t: TestPush;
let env: NodeJS.ProcessEnv;
const tokenOf = (user: string) => Buffer.from(user.padEnd(32, '.')).toString('hex');

beforeAll(async () => {
  t = await startTestPush();
  const { caFile, keyFile, keyId, teamId } = t.simulator;
  env = {
    PATH: process.env.PATH,
    WORKER_PORT: '0',
    DATABASE_URL: t.databaseUrl,
    REDIS_URL: t.redisUrl,
    AUTH_JWT_SECRET: 's'.repeat(32),
    APNS_URL: t.simulator.url,
    APNS_CA_FILE: caFile,
    APNS_KEY_FILE: keyFile,
    APNS_KEY_ID: keyId,
    APNS_TEAM_ID: teamId,
  };
  for (const user of ['alice', 'bob', 'carol']) {
    const device = { token: tokenOf(user), userId: user, environment: 'sandbox' } as const;
    await saveDeviceToken(t.ctx.db, { ...device, app: 'customer' });
  }
  await t.driver('d');
});

interface WorkerProcess {
  child: ChildProcess;
  output: () => string;
  exited: Promise<number | null>;
}

function startWorker(change: NodeJS.ProcessEnv = {}): WorkerProcess {
  const child = fork('workers/main.ts', { env: { ...env, ...change }, silent: true });
  let text = '';
  child.stdout?.on('data', (data) => {
    text += data;
  });
  child.stderr?.on('data', (data) => {
    text += data;
  });
  cleanups.push(() => void child.kill('SIGKILL'));
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  return { child, output: () => text, exited };
}

async function readyWorker(change?: NodeJS.ProcessEnv): Promise<WorkerProcess & { url: string }> {
  const worker = startWorker(change);
  const ready = once(worker.child, 'message').then(([message]) => message);
  const said = await Promise.race([ready, worker.exited]);
  expect(said, worker.output()).toEqual({ type: 'ready', port: expect.any(Number) });
  return { ...worker, url: `http://127.0.0.1:${said.port}` };
}

/** A customer is told that a driver comes. */
async function assign(customerId: string): Promise<string> {
  const job = await t.post({ customerId });
  expect(await t.engine.jobs.claim(job.id, 'd')).toMatchObject({ ok: true });
  return job.id;
}
const pushed = (user: string) =>
  t.simulator.phones.records().filter((push) => push.token === tokenOf(user));

describe('a worker process', () => {
  it('says that it is ready, pushes, shows its metrics and stops at a signal given twice', async () => {
    const worker = await readyWorker();
    expect(await (await fetch(`${worker.url}/healthz`)).json()).toEqual({ status: 'ok' });
    await assign('alice');
    await until(() => pushed('alice').length === 1);
    const metrics = await until(async () => {
      const text = await (await fetch(`${worker.url}/metrics`)).text();
      return text.includes('muster_push_total{lane="critical",outcome="sent",reason=""} 1') && text;
    });
    expect(metrics).toContain('muster_push_seconds_count{lane="critical"} 1');
    expect(metrics).toContain('muster_push_oldest_waiting_seconds{lane="nearby"} 0');
    worker.child.kill('SIGTERM');
    worker.child.kill('SIGINT');
    expect(await worker.exited).toBe(0);
    expect(worker.output()).not.toContain(tokenOf('alice'));
  });

  it('goes with the parent that started it; it needs no secret in development', async () => {
    const worker = await readyWorker({ AUTH_JWT_SECRET: undefined });
    worker.child.disconnect();
    expect(await worker.exited).toBe(0);
  });

  it('refuses to start with one line that says why', async () => {
    for (const [change, line] of [
      [{ DATABASE_URL: new URL('/postgres', t.databaseUrl).href }, /older schema.*migrate/],
      [{ WORKER_PORT: 'x' }, /WORKER_PORT is "x"/],
      [{ HOST: '192.0.2.1' }, /HOST is "192\.0\.2\.1".*e\.g\. HOST=/],
    ] as const) {
      const worker = startWorker(change);
      expect(await worker.exited).toBe(1);
      expect(worker.output().trim().split('\n')).toEqual([expect.stringMatching(line)]);
    }
  });

  it('stops in time while Apple does not answer; the push stays on record as unknown', async () => {
    const worker = await readyWorker();
    t.simulator.faults.add({ kind: 'freeze' });
    const job = await assign('bob');
    const attempts = async () =>
      (await listAttempts(t.ctx.db, { jobId: job })).filter((a) => a.userId === 'bob');
    await until(async () => (await attempts()).length === 1);
    const started = Date.now();
    worker.child.kill('SIGTERM');
    expect(await worker.exited).toBe(0);
    expect(Date.now() - started).toBeLessThan(STOP_MS);
    t.simulator.faults.clear();
    expect(await attempts()).toMatchObject([{ outcome: 'unknown' }]);
  });

  it('outlives Redis, pushes when it is back, and stops without it', async () => {
    const worker = await readyWorker();
    await t.redis.kill();
    await fetch(`${worker.url}/metrics`).then((response) => expect(response.status).toBe(200));
    await t.redis.restart();
    await until(() => t.driver('d').then(() => true));
    await until(() => assign('carol'));
    await until(() => pushed('carol').length > 0, { timeoutMs: 25_000 });
    await until(async () => (await countUndone(t.ctx.db, 0)) === 0, {
      timeoutMs: 25_000,
    });
    await t.redis.kill();
    worker.child.kill('SIGTERM');
    expect(await worker.exited).toBe(0);
    await t.redis.restart();
  }, 90_000);

  it('does not fall with Postgres, and stops without it', async () => {
    const proxy = await startProxy(t.databaseUrl);
    cleanups.push(() => proxy.close());
    const through = new URL(t.databaseUrl);
    through.port = new URL(proxy.url).port;
    const worker = await readyWorker({ DATABASE_URL: through.href });
    proxy.close();
    await until(() => worker.output().includes('the lease cannot be asked for'));
    await t.queues.tasks.enqueueNotifications([{ id: 'any' }]);
    const failed = await until(async () => (await t.queues.byLane.critical.getDelayed())[0]);
    expect(failed.failedReason).toMatch(/ECONNREFUSED|CONNECT/);
    worker.child.kill('SIGTERM');
    expect(await worker.exited).toBe(0);
  });
});
