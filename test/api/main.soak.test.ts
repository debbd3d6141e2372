/** The api as a process of its own: what it starts with, and what its one listener takes. */
import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { cleanups } from '../support/engine.ts';
import { freshDatabase, freshRedis } from '../support/servers.ts';
import { callerOf } from './support.ts';

const run = promisify(execFile);
let env: NodeJS.ProcessEnv;
let url: string;

beforeAll(async () => {
  const [databaseUrl, redis] = await Promise.all([freshDatabase(), freshRedis()]);
  cleanups.push(() => redis.stop());
  env = { PATH: process.env.PATH, DATABASE_URL: databaseUrl, REDIS_URL: redis.url, PORT: '0' };
  const { child, output } = startApi();
  const [message] = await once(child, 'message');
  expect(message, output()).toMatchObject({ type: 'listening' });
  url = (message as { url: string }).url;
});

function startApi(change: NodeJS.ProcessEnv = {}): { child: ChildProcess; output: () => string } {
  const child = fork('api/main.ts', { env: { ...env, ...change }, silent: true });
  let said = '';
  child.stderr?.on('data', (data) => {
    said += data;
  });
  cleanups.push(() => void child.kill('SIGKILL'));
  return { child, output: () => said };
}

/** A call with these headers besides, as raw bytes: no client here offers another protocol. */
async function raw(method: string, path: string, headers: Record<string, string>, body = '') {
  const { hostname, port } = new URL(url);
  const lines = Object.entries({ host: 'x', 'content-length': String(body.length), ...headers });
  const head = lines.map(([name, value]) => `${name}: ${value}`).join('\r\n');
  const socket = connect(Number(port), hostname);
  socket.write(`${method} ${path} HTTP/1.1\r\n${head}\r\n\r\n${body}`);
  return text(socket);
}

describe('an api process', () => {
  it('starts without a secret in development, and takes the tokens of this checkout', async () => {
    const { AUTH_JWT_SECRET: _, ...bare } = env;
    const args = ['scripts/token.ts', '--role', 'operator', '--sub', 'op'];
    const { stdout } = await run(process.execPath, args, { env: bare });
    const operator = callerOf(url, async () => stdout.trim());
    expect(await operator('GET', '/api/jobs')).toMatchObject({ status: 200, body: { jobs: [] } });
    expect(await callerOf(url, null)('GET', '/api/jobs')).toMatchObject({ status: 401 });
  });

  it('does not start without one in production', async () => {
    const { child, output } = startApi({ NODE_ENV: 'production' });
    expect(await once(child, 'close')).toEqual([1, null]);
    expect(output()).toMatch(/^muster api: AUTH_JWT_SECRET is not set .*production.*\n$/);
  });

  it('answers in HTTP/1.1 who offers HTTP/2', async () => {
    const offer = {
      connection: 'Upgrade, HTTP2-Settings, close',
      upgrade: 'h2c',
      'http2-settings': 'AAMAAABkAAQAAP__',
    };
    expect(await raw('GET', '/healthz', offer)).toMatch(/^HTTP\/1.1 200 .*{"status":"ok"}$/s);
    const post = await raw('POST', '/api/jobs', { ...offer, 'content-type': 'text/plain' }, '{}');
    expect(post).toMatch(/^HTTP\/1.1 401 .*"code":"unauthorized"}$/s);
  });

  it('shows how long pushes wait', async () => {
    const { body } = await callerOf(url, null)<string>('GET', '/metrics');
    expect(body).toContain('muster_push_oldest_waiting_seconds{lane="critical"} 0');
    expect(body).toContain('# TYPE muster_push_total counter');
    expect(body).toContain('# TYPE muster_push_seconds histogram');
  });

  it.each([
    ['a host that is none', { HOST: 'no.such.host.invalid' }, /HOST is "no\.such\.host\.invalid"/],
    ['a host of elsewhere', { HOST: '192.0.2.1' }, /HOST is "192\.0\.2\.1".*e\.g\. HOST=/],
    ['a port that is taken', {}, /PORT is \d+, which is taken.*e\.g\. PORT=0/],
  ])('names %s in one line', async (_what, change, line) => {
    const { child, output } = startApi({ PORT: new URL(url).port, ...change });
    expect(await once(child, 'close')).toEqual([1, null]);
    expect(output()).toMatch(line);
    expect(output().trim().split('\n')).toHaveLength(1);
  });

  it('has nothing for WebSockets but the feed', async () => {
    const offer = { connection: 'Upgrade', upgrade: 'websocket' };
    expect(await raw('GET', '/healthz', offer)).toMatch(/^HTTP\/1.1 404 /);
    expect(await raw('GET', '/ws', offer)).toMatch(/^HTTP\/1.1 401 /);
  });
});
