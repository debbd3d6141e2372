/** Two api processes behind nginx are restarted in turn while people work: no call breaks. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { cleanups } from '../support/engine.ts';
import { findNginx, freePort, startNginx } from '../support/nginx.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { until } from '../support/until.ts';
import { callerOf, mint, SECRET } from './support.ts';

const nginx = findNginx();
const CALLERS = 6;
const SOCKETS = 40;
/** The default: each connection that the balancer keeps is used once meanwhile, and told that it is the last time. */
const SHUTDOWN_DELAY_S = '5';
/** Contract: everybody is back within ten seconds. */
const BACK_MS = 10_000;

async function startApi(env: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const child = fork('api/main.ts', { env, silent: true });
  cleanups.push(() => void child.kill('SIGKILL'));
  await once(child, 'message');
  await until(async () => (await fetch(`http://127.0.0.1:${env.PORT}/readyz`)).ok, {
    what: 'the api is ready',
    timeoutMs: 30_000,
  });
  return child;
}

/** Calls one after the other until told to stop; what did not end well. */
async function work(
  url: string,
  sub: string,
  stop: AbortSignal,
): Promise<{ done: number; broken: string[] }> {
  const token = await mint({ sub, role: 'customer' });
  const call = callerOf(url, async () => token);
  const broken: string[] = [];
  let done = 0;
  while (!stop.aborted) {
    const [method, path, body] =
      done % 2 === 0
        ? (['POST', '/api/jobs', { address: '1 Market St', total_price: 1 }] as const)
        : (['GET', '/api/notifications'] as const);
    try {
      const { status } = await call(method, path, body);
      if (status >= 500) broken.push(`${method} ${status}`);
    } catch (error) {
      broken.push(`${method} ${error}`);
    }
    done++;
    await sleep(20);
  }
  return { done, broken };
}

/** A client that connects again, with a little jitter, until told to stop. */
function stay(url: string, sub: string, stop: AbortSignal): { isOn: () => boolean } {
  let on = false;
  const connect = async () => {
    if (stop.aborted) return;
    const authorization = `Bearer ${await mint({ sub, role: 'customer' })}`;
    const ws = new WebSocket(url, { headers: { authorization } });
    ws.on('message', () => {
      on = true;
    });
    ws.on('error', () => {});
    ws.on('close', () => {
      on = false;
      setTimeout(() => void connect(), 200 + 800 * Math.random());
    });
    stop.addEventListener('abort', () => ws.terminate());
  };
  void connect();
  return { isOn: () => on };
}

describe.skipIf(!nginx)('behind nginx (skipped where there is none)', () => {
  it('a rolling restart breaks no call, and everybody is back', { timeout: 180_000 }, async () => {
    const [databaseUrl, redis] = await Promise.all([freshDatabase(), freshRedis()]);
    cleanups.push(() => redis.stop());
    const ports = [await freePort(), await freePort()];
    const envOf = (port: number) => ({
      ...{ PATH: process.env.PATH, DATABASE_URL: databaseUrl, REDIS_URL: redis.url },
      ...{ AUTH_JWT_SECRET: SECRET, PORT: String(port), SHUTDOWN_DELAY_S },
      ...{ CUSTOMER_MAX_OPEN_JOBS: '0', LOG_LEVEL: 'warn' },
    });
    const processes = await Promise.all(ports.map((port) => startApi(envOf(port))));
    const url = await startNginx(nginx ?? '', { upstreams: ports, location: '/' });
    const stop = new AbortController();
    const feed = `${url.replace('http', 'ws')}/ws`;
    const sockets = Array.from({ length: SOCKETS }, (_, i) => stay(feed, `s${i}`, stop.signal));
    const allOn = () => sockets.every(({ isOn }) => isOn());
    await until(allOn, { what: 'all are connected', timeoutMs: 30_000 });
    const working = Array.from({ length: CALLERS }, (_, i) => work(url, `c${i}`, stop.signal));
    for (const [i, port] of ports.entries()) {
      const ended = once(processes[i] as ChildProcess, 'exit');
      processes[i]?.kill('SIGTERM');
      expect(await ended).toEqual([0, null]);
      await startApi(envOf(port));
      await until(allOn, { what: 'all are back', timeoutMs: BACK_MS });
    }
    stop.abort();
    const results = await Promise.all(working);
    expect(results.flatMap(({ broken }) => broken)).toEqual([]);
    for (const { done } of results) expect(done).toBeGreaterThan(50);
  });
});
