import { readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Redis } from 'ioredis';
import { afterEach, expect, inject, test } from 'vitest';
import { freePort, whyNotFree } from '../../../scripts/dev/ports.ts';
import { commandLine, isAlive } from '../../../scripts/dev/process-table.ts';
import { type RedisServer, startRedis } from '../../../scripts/dev/redis.ts';
import { abandon } from '../../support/abandoned.ts';
import { freshServer } from '../../support/servers.ts';

const servers: RedisServer[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

async function start(...args: Parameters<typeof startRedis>): Promise<RedisServer> {
  const server = await startRedis(...args);
  servers.push(server);
  return server;
}

async function ask<T>(url: string, question: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url);
  try {
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}

const dirOf = (name: string) => path.join(inject('suiteDir'), `dev-${name}`);

test('answers on a free port of the loopback and ends when told', async () => {
  const server = await freshServer();
  expect(server.port).not.toBe(6379);
  expect(await ask(server.url, (redis) => redis.config('GET', 'bind'))).toEqual([
    'bind',
    '127.0.0.1',
  ]);
  await server.stop();
  await server.stop();
  expect(isAlive(server.pid)).toBe(false);
});

test('keeps its data over a stop when it persists, and nothing otherwise', async () => {
  const kept = { dir: dirOf('kept'), persist: true };
  const first = await start(kept);
  await ask(first.url, (redis) => redis.set('colour', 'green'));
  await first.stop();
  expect(await ask((await start(kept)).url, (redis) => redis.get('colour'))).toBe('green');

  const lost = { dir: dirOf('lost') };
  const second = await start(lost);
  await ask(second.url, (redis) => redis.set('colour', 'red'));
  await second.stop();
  expect(await ask((await start(lost)).url, (redis) => redis.dbsize())).toBe(0);
});

test('comes back on the same port after a crash', async () => {
  const port = await freePort();
  const server = await start({ dir: dirOf('crash'), port });
  await server.kill();
  expect(isAlive(server.pid)).toBe(false);
  expect((await start({ dir: dirOf('crash'), port })).port).toBe(port);
});

test('the orphan of a killed parent is stopped before the next start', async () => {
  const dir = dirOf('orphan');
  const options = JSON.stringify({ dir, persist: true });
  const orphan = await abandon<RedisServer>('redis.ts', `dev.startRedis(${options})`);
  expect(isAlive(orphan.pid)).toBe(true);
  await ask(orphan.url, (redis) => redis.set('colour', 'blue'));
  const server = await start({ dir, persist: true });
  expect(isAlive(orphan.pid)).toBe(false);
  expect(await ask(server.url, (redis) => redis.get('colour'))).toBe('blue');
});

test('a pid file that names somebody else by now stops nobody', async () => {
  const dir = dirOf('stale');
  const server = await start({ dir });
  await server.kill();
  writeFileSync(path.join(dir, 'redis.pid'), String(process.pid));
  expect((await start({ dir })).pid).not.toBe(server.pid);
});

test('with a password it serves nobody else, and neither ps nor its log tells it', async () => {
  const dir = dirOf('password');
  const password = 'never-to-be-seen';
  const server = await start({ dir, password });
  expect(await ask(server.url, (redis) => redis.ping())).toBe('PONG');
  const stranger = new Redis(server.port, '127.0.0.1', { retryStrategy: null });
  stranger.on('error', () => {});
  await expect(stranger.ping()).rejects.toThrow(/NOAUTH/);
  stranger.disconnect();
  expect(commandLine(server.pid)).toContain(dir);
  expect(commandLine(server.pid)).not.toContain(password);
  expect(readFileSync(path.join(dir, 'redis.log'), 'utf8')).not.toContain(password);
  expect(statSync(path.join(dir, 'redis.conf')).mode & 0o777).toBe(0o600);
});

test('a folder may have any name', async () => {
  const server = await start({ dir: dirOf('it\'s "odd" \\ #1'), persist: true });
  expect(await ask(server.url, (redis) => redis.ping())).toBe('PONG');
});

test('says why it does not start', async () => {
  const { port } = await start({ dir: dirOf('first') });
  expect(await whyNotFree('127.0.0.1', port)).toBe('EADDRINUSE');
  await expect(startRedis({ dir: dirOf('second'), port })).rejects.toThrow(
    /Redis did not start: .*listening on port/,
  );
});
