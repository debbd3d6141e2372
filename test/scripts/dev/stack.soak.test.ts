import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterEach, expect, inject, test } from 'vitest';
import { ConfigError } from '../../../engine/process/config.ts';
import { findRunning } from '../../../scripts/dev/lock.ts';
import { isAlive, signal } from '../../../scripts/dev/process-table.ts';
import { type Stack, type StackOptions, startStack } from '../../../scripts/dev/stack.ts';
import { until } from '../../support/until.ts';

const stacks: Stack[] = [];

afterEach(async () => {
  for (const stack of stacks.splice(0)) await stack.stop();
});

/** Nothing of the machine that the suite runs on; no APNs, which has tests of its own. */
const env = {
  ...{ DATABASE_URL: undefined, REDIS_URL: undefined, AUTH_JWT_SECRET: undefined },
  ...{ AUTH_JWKS_URL: undefined, NODE_ENV: 'test', APNS_URL: 'https://127.0.0.1:1' },
};

async function start(name: string, options: Partial<StackOptions> = {}): Promise<Stack> {
  const shared = { stateDir: dirOf(name), port: 0, quiet: true, host: '127.0.0.1' };
  const stack = await startStack({ ...shared, ...options, env: { ...env, ...options.env } });
  stacks.push(stack);
  return stack;
}

const dirOf = (name: string) => path.join(inject('suiteDir'), `stack-${name}`);

const inDir = (name: string, file: string) => path.join(dirOf(name), file);

const redisPid = (name: string) =>
  Number.parseInt(readFileSync(inDir(name, 'redis/redis.pid'), 'utf8'), 10);

/** Each server that was started removes its pid file when it has ended in good order. */
function expectServersEnded(name: string): void {
  expect(existsSync(inDir(name, 'redis/redis.log'))).toBe(true);
  expect(existsSync(inDir(name, 'redis/redis.pid'))).toBe(false);
  expect(existsSync(inDir(name, 'postgres/data/postmaster.pid'))).toBe(false);
}

const metricsOf = async (url: string) => (await fetch(`${url}/metrics`)).text();
const answers = (url: string) =>
  fetch(`${url}/readyz`).then(
    (response) => response.status === 200,
    () => false,
  );

test('two apis and a worker start, are found by others, and stop without a trace', async () => {
  const stack = await start('whole', { apis: 2 });
  expect(new Set(stack.urls).size).toBe(2);
  for (const url of stack.urls) await until(() => answers(url), { what: `${url} is ready` });
  expect(findRunning(dirOf('whole'))).toMatchObject({ url: stack.url, redisUrl: stack.redisUrl });
  expect(readFileSync(inDir('whole', 'secret'), 'utf8').trim()).toBe(stack.secret);
  await expect(start('whole')).rejects.toThrow(/^already running in this checkout, pid/);

  // What workers measure is seen at the first api, and there alone.
  const [first = '', second = ''] = stack.urls;
  await until(async () =>
    (await metricsOf(first)).includes('\nmuster_push_undone_notifications 0'),
  );
  expect(await metricsOf(second)).not.toContain('muster_push_undone_notifications');

  const pid = redisPid('whole');
  await Promise.all([stack.stop(), stack.stop()]);
  for (const url of stack.urls) expect(await answers(url)).toBe(false);
  expect(isAlive(pid)).toBe(false);
  expectServersEnded('whole');
  expect(findRunning(dirOf('whole'))).toBeUndefined();
});

test('what it keeps is for its user only, and no log tells a password', async () => {
  const dir = dirOf('private');
  // As an earlier start left it, with an ordinary umask.
  mkdirSync(path.join(dir, 'apns'), { recursive: true });
  chmodSync(dir, 0o755);
  writeFileSync(path.join(dir, 'apns/pushes.jsonl'), '{}\n', { mode: 0o644 });
  writeFileSync(path.join(dir, 'demo.html'), '', { mode: 0o644 });
  const stack = await start('private');
  expect(new URL(stack.redisUrl).password).toMatch(/^[0-9a-f]{48}$/);
  await stack.stop();
  const secrets = [stack.redisUrl, stack.databaseUrl].map((url) => new URL(url).password);
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const { mode } = statSync(path.join(dir, entry.name));
    expect(mode & 0o777, entry.name).toBe(entry.isDirectory() ? 0o700 : 0o600);
  }
  // PostgreSQL's user must pass through, and cannot list it.
  expect(statSync(dir).mode & 0o777).toBe(process.getuid?.() === 0 ? 0o711 : 0o700);
  const kept = readdirSync(dir, { recursive: true, encoding: 'utf8' });
  for (const file of kept.filter((name) => /\.log$/.test(name))) {
    const text = readFileSync(path.join(dir, file), 'utf8');
    for (const secret of secrets) expect(text, file).not.toContain(secret);
  }
});

test('a malformed variable stops it before anything is started', async () => {
  const starting = start('malformed', { env: { DISPATCH_WAVES: 'soon' } });
  await expect(starting).rejects.toThrow(ConfigError);
  expect(existsSync(inDir('malformed', 'redis'))).toBe(false);
  expect(findRunning(dirOf('malformed'))).toBeUndefined();
});

test('production makes nothing up', async () => {
  const starting = start('production', {
    env: { NODE_ENV: 'production', DATABASE_URL: 'postgres://127.0.0.1/x' },
  });
  await expect(starting).rejects.toThrow(/^REDIS_URL is not set/);
  expect(existsSync(inDir('production', 'secret'))).toBe(false);
});

test('a start that fails halfway leaves nothing running', async () => {
  const wrong = new URL(inject('postgresUrl'));
  wrong.password = 'wrong';
  await expect(start('halfway', { env: { DATABASE_URL: wrong.href } })).rejects.toThrow(
    'DATABASE_URL cannot be used: password authentication failed for user "muster"',
  );
  expectServersEnded('halfway');
  expect(findRunning(dirOf('halfway'))).toBeUndefined();
});

test('one that is given up stops what it has started', async () => {
  const controller = new AbortController();
  const log = (line: string) => line === 'Starting workers and api' && controller.abort();
  const starting = start('given-up', { quiet: false, log, signal: controller.signal });
  await expect(starting).rejects.toThrow();
  expectServersEnded('given-up');
});

test('one that waits for a database is given up at once', async () => {
  const controller = new AbortController();
  const log = (line: string) => line === 'waiting for PostgreSQL' && controller.abort();
  const env = { DATABASE_URL: 'postgres://u:secret@127.0.0.1:1/x' };
  await expect(start('waiting', { env, log, signal: controller.signal })).rejects.toThrow(
    'This operation was aborted',
  );
  expectServersEnded('waiting');
});

test('says which process ended unasked', async () => {
  const stack = await start('died');
  signal(redisPid('died'), 'SIGKILL');
  expect(await stack.died).toBe('Redis was ended by SIGKILL');
});
