/** Processes whose stores are not there yet, refuse them, or freeze; and processes that are told to stop. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { Redis } from 'ioredis';
import { beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../scripts/dev/ports.ts';
import type { RedisServer } from '../../scripts/dev/redis.ts';
import { mintToken } from '../../scripts/dev/tokens.ts';
import { cleanups } from '../support/engine.ts';
import { type FaultyProxy, startProxy } from '../support/proxy.ts';
import { freshDatabase, freshServer } from '../support/servers.ts';
import { until } from '../support/until.ts';

/** A probe is answered within a second; the rest is for a busy machine. */
const PROBE_MS = 1000 + 2000;

let databaseUrl: string;
let redis: RedisServer;
let env: NodeJS.ProcessEnv;

beforeAll(async () => {
  [databaseUrl, redis] = await Promise.all([freshDatabase(), freshServer()]);
  cleanups.push(() => redis.stop());
  env = {
    PATH: process.env.PATH,
    DATABASE_URL: databaseUrl,
    REDIS_URL: redis.url,
    AUTH_JWT_SECRET: 's'.repeat(32),
    PORT: '0',
  };
});

interface Started {
  child: ChildProcess;
  output: () => string;
  exited: Promise<number | null>;
  /** Where it listens. */
  url(): Promise<string>;
}

function start(entry: 'api' | 'workers', change: NodeJS.ProcessEnv = {}): Started {
  const child = fork(`${entry}/main.ts`, { env: { ...env, ...change }, silent: true });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (data) => {
      text += data;
    });
  }
  cleanups.push(() => void child.kill('SIGKILL'));
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  const listening = once(child, 'message').then(([message]) => (message as { url: string }).url);
  listening.catch(() => {});
  return {
    child,
    output: () => text,
    exited,
    url: () => Promise.race([listening, exited.then(() => Promise.reject(new Error(text)))]),
  };
}

async function proxied(target: string): Promise<{ proxy: FaultyProxy; url: string }> {
  const proxy = await startProxy(target);
  cleanups.push(() => proxy.close());
  const url = new URL(target);
  url.port = new URL(proxy.url).port;
  return { proxy, url: url.href };
}

const get = (url: string) => fetch(url, { signal: AbortSignal.timeout(PROBE_MS) });

describe('a start', () => {
  it('waits for both stores, says so, and goes on when they are there', async () => {
    const [pg, r] = await Promise.all([proxied(databaseUrl), proxied(redis.url)]);
    pg.proxy.cut();
    r.proxy.cut();
    const api = start('api', { DATABASE_URL: pg.url, REDIS_URL: r.url });
    await until(() =>
      /waiting for PostgreSQL.*waiting for Redis|waiting for Redis.*waiting for PostgreSQL/s.test(
        api.output(),
      ),
    );
    pg.proxy.heal();
    r.proxy.heal();
    const url = await api.url();
    await until(async () => (await get(`${url}/readyz`)).status === 200);
  });

  it.each(['api', 'workers'] as const)('of %s obeys SIGTERM while it waits', async (entry) => {
    const { proxy, url } = await proxied(redis.url);
    proxy.halfOpen();
    const started = start(entry, { REDIS_URL: url });
    await until(() => started.output().includes('waiting for Redis'));
    started.child.kill('SIGTERM');
    expect(await started.exited).toBe(0);
  });

  it('ends at once with one line for what waiting does not mend', async () => {
    const guarded = await freshServer();
    cleanups.push(() => guarded.stop());
    const admin = new Redis(guarded.url);
    await admin.config('SET', 'requirepass', 'right-secret');
    admin.disconnect();
    const wrong = `redis://:wrong-secret@127.0.0.1:${guarded.port}`;
    const user = new URL(databaseUrl);
    user.username = 'nobody-here';
    for (const [change, line] of [
      [{ REDIS_URL: wrong }, /^muster api: REDIS_URL cannot be used: WRONGPASS .*\n$/],
      [{ REDIS_URL: guarded.url }, /^muster api: REDIS_URL cannot be used: NOAUTH .*\n$/],
      [{ REDIS_URL: `${redis.url}/99` }, /^muster api: REDIS_URL cannot be used: .*DB index.*\n$/],
      [{ DATABASE_URL: user.href }, /^muster api: DATABASE_URL cannot be used: .*nobody-here.*\n$/],
      [{ REDIS_URL: 'redis://:a%b@h' }, /^muster api: REDIS_URL has a % .*\n$/],
      [{ DATABASE_URL: 'postgres://u:a%b@h/d' }, /^muster api: DATABASE_URL has a % .*\n$/],
    ] as const) {
      const api = start('api', { ...change, LOG_LEVEL: 'error' });
      expect(await api.exited).toBe(1);
      expect(api.output()).toMatch(line);
      expect(api.output()).not.toMatch(/secret/);
    }
  });

  it('warns of variables that look like ours', async () => {
    const api = start('api', { DRIVER_STALE: '60' });
    await api.url();
    expect(api.output()).toMatch(/DRIVER_STALE is no variable .* DRIVER_STALE_S=120/);
  });
});

describe('probes', () => {
  it.each(['postgres', 'redis'] as const)('answer in time while %s is frozen', async (frozen) => {
    const { proxy, url } = await proxied(frozen === 'redis' ? redis.url : databaseUrl);
    const port = await freePort();
    const through = frozen === 'redis' ? { REDIS_URL: url } : { DATABASE_URL: url };
    const worker = start('workers', { ...through, WORKER_PORT: String(port) });
    await once(worker.child, 'message');
    const at = `http://127.0.0.1:${port}`;
    await until(async () => (await get(`${at}/readyz`)).status === 200);
    proxy.freeze();
    await until(async () => (await get(`${at}/readyz`)).status === 503);
    expect(await (await get(`${at}/readyz`)).json()).toMatchObject({
      status: 'not_ready',
      checks: { [frozen]: 'failed' },
    });
    for (const path of ['/healthz', '/metrics']) {
      expect((await get(`${at}${path}`)).status).toBe(200);
    }
    proxy.heal();
    await until(async () => (await get(`${at}/readyz`)).status === 200);
  });
});

describe('a process that is told to stop', () => {
  it('is not ready at once, serves on for a while, and then ends in order', async () => {
    const api = start('api', { SHUTDOWN_DELAY_S: '3' });
    const url = await api.url();
    const before = await get(`${url}/healthz`);
    expect(before.headers.get('connection')).toBe('keep-alive');
    api.child.kill('SIGTERM');
    await until(async () => (await get(`${url}/readyz`)).status === 503, { timeoutMs: 2000 });
    api.child.kill('SIGTERM');
    const during = await get(`${url}/healthz`);
    expect([during.status, during.headers.get('connection')]).toEqual([200, 'close']);
    expect(await api.exited).toBe(0);
    await expect(get(`${url}/healthz`)).rejects.toThrow();
  });

  it.each(['SIGHUP', 'SIGINT'] as const)('by %s ends in order as well', async (signal) => {
    const api = start('api');
    const url = await api.url();
    const ws = new WebSocket(`${url.replace('http', 'ws')}/ws`, [
      'muster.v1',
      `bearer.${await mintToken({ role: 'driver', sub: 'd1', ttlS: 60, secret: 's'.repeat(32) })}`,
    ]);
    const closed = new Promise<number>((resolve) => {
      ws.onclose = ({ code }) => resolve(code);
    });
    await new Promise((resolve) => {
      ws.onmessage = resolve;
    });
    api.child.kill(signal);
    expect(await closed).toBe(1012);
    expect(await api.exited).toBe(0);
  });

  it('does not wait for connections that bring no call', async () => {
    const api = start('api');
    const { hostname, port } = new URL(await api.url());
    const silent = net.connect(Number(port), hostname);
    const half = net.connect(Number(port), hostname, () => half.write('GET /healthz HT'));
    for (const socket of [silent, half]) socket.on('error', () => {});
    await Promise.all([once(silent, 'connect'), once(half, 'connect')]);
    api.child.kill('SIGTERM');
    expect(await api.exited).toBe(0);
  });
});
