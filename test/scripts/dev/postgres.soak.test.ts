import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import postgres from 'postgres';
import { afterEach, expect, inject, test, vi } from 'vitest';
import { type PostgresServer, startPostgres } from '../../../scripts/dev/postgres.ts';
import { nativePrograms, readablePrograms } from '../../../scripts/dev/postgres-programs.ts';
import { commandLine, isAlive } from '../../../scripts/dev/process-table.ts';
import { abandon } from '../../support/abandoned.ts';
import { UNPRIVILEGED, whyNotAs } from '../../support/machine.ts';
import { freshDatabase } from '../../support/servers.ts';

// A data folder is made in most of them, in one the programs are copied.
vi.setConfig({ testTimeout: 120_000 });

const servers: PostgresServer[] = [];

afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

async function start(name: string, durable = false): Promise<PostgresServer> {
  const server = await startPostgres({ dir: dirOf(name), durable });
  servers.push(server);
  return server;
}

async function ask<T extends object>(url: string, question: string): Promise<T[]> {
  const client = postgres(url, { max: 1, onnotice: () => {} });
  try {
    return await client.unsafe<T[]>(question);
  } finally {
    await client.end();
  }
}

const dirOf = (name: string) => path.join(inject('suiteDir'), `dev-${name}`);

test('serves a database muster on a free port, behind a password, not as root', async () => {
  const server = await start('plain');
  expect(server.port).not.toBe(5432);
  const [row] = await ask<{ database: string; addresses: string; fsync: string }>(
    server.url,
    `select current_database() as database, current_setting('listen_addresses') as addresses,
            current_setting('fsync') as fsync`,
  );
  expect(row).toEqual({ database: 'muster', addresses: '127.0.0.1', fsync: 'off' });
  const stranger = new URL(server.url);
  stranger.password = 'guess';
  await expect(ask(stranger.href, 'select 1')).rejects.toThrow(/password authentication failed/);
  expect(statSync(dirOf('plain/data')).uid).not.toBe(0);
  await server.stop();
  expect(isAlive(server.pid)).toBe(false);
});

test('its password is ours: the account that runs it, which others may share, cannot read it', async () => {
  const server = await start('secret');
  const password = new URL(server.url).password;
  expect(readFileSync(dirOf('secret.password'), 'utf8').trim()).toBe(password);
  expect(statSync(dirOf('secret.password'))).toMatchObject({ uid: process.getuid?.() });
  expect(statSync(dirOf('secret.password')).mode & 0o777).toBe(0o600);
  expect(readdirSync(dirOf('secret'))).toEqual(['data']);
  const holding = spawnSync('grep', ['-rlF', password, dirOf('secret'), dirOf('secret.log')]);
  expect(holding.stdout.toString()).toBe('');
  expect(commandLine(server.pid)).not.toContain(password);
});

test('data whose password is lost gets a new one', async () => {
  const first = await start('lost');
  await ask(first.url, 'create table t as select 3 as answer');
  await first.stop();
  rmSync(dirOf('lost.password'));
  const second = await start('lost');
  expect(new URL(second.url).password).not.toBe(new URL(first.url).password);
  expect(await ask(second.url, 'select answer from t')).toEqual([{ answer: 3 }]);
});

test('programs that the account may not read are copied for it', async ({ skip }) => {
  const why = whyNotAs(UNPRIVILEGED);
  skip(why !== undefined, why);
  const native = await nativePrograms(UNPRIVILEGED);
  // As npm installs them for root under a umask of 077.
  const installed = dirOf('installed');
  cpSync(path.dirname(native), installed, { recursive: true, verbatimSymlinks: true });
  spawnSync('chmod', ['-R', 'go=', installed]);
  const place = dirOf('programs');
  mkdirSync(place, { mode: 0o755 });
  const programs = path.join(installed, 'native');
  const copy = await readablePrograms(programs, () => place, UNPRIVILEGED);
  expect(copy.startsWith(place)).toBe(true);
  const options = { ...UNPRIVILEGED, cwd: '/', encoding: 'utf8' } as const;
  const said = spawnSync(path.join(copy, 'bin/initdb'), ['--version'], options).stdout;
  expect(said).toMatch(/^initdb \(PostgreSQL\)/);
  // Half a copy, as of a start that was killed, is made anew.
  rmSync(path.join(copy, 'lib'), { recursive: true });
  expect(await readablePrograms(programs, () => place, UNPRIVILEGED)).toBe(copy);
  expect(existsSync(path.join(copy, 'lib'))).toBe(true);
});

test('half a data folder is made anew', async () => {
  const home = dirOf('half');
  mkdirSync(path.join(home, 'data.new/base'), { recursive: true });
  writeFileSync(path.join(home, 'data.new/PG_VERSION'), '18\n');
  expect(await ask((await start('half')).url, 'select 1 as one')).toEqual([{ one: 1 }]);
});

test('what was committed survives a crash of the server', async () => {
  const first = await start('crash', true);
  await ask(first.url, 'create table t as select 42 as answer');
  await first.kill();
  const second = await start('crash', true);
  expect(await ask(second.url, 'select answer from t')).toEqual([{ answer: 42 }]);
});

test('the orphan of a killed parent is stopped before the next start', async () => {
  const options = JSON.stringify({ dir: dirOf('orphan'), durable: false });
  const orphan = await abandon<PostgresServer>('postgres.ts', `dev.startPostgres(${options})`);
  await ask(orphan.url, 'create table t as select 7 as answer');
  const server = await start('orphan');
  expect(isAlive(orphan.pid)).toBe(false);
  expect(await ask(server.url, 'select answer from t')).toEqual([{ answer: 7 }]);
});

test('a stale pid file, naming somebody else by now, is no obstacle', async () => {
  const first = await start('stale');
  await first.stop();
  const lines = [process.pid, dirOf('stale/data'), 0, first.port, '', '127.0.0.1', '', 'ready'];
  writeFileSync(path.join(dirOf('stale/data'), 'postmaster.pid'), `${lines.join('\n')}\n`);
  expect(await ask((await start('stale')).url, 'select 1 as one')).toEqual([{ one: 1 }]);
});

test('data of another version is refused in one sentence', async () => {
  const server = await start('version');
  await server.stop();
  writeFileSync(dirOf('version/data/PG_VERSION'), '9\n');
  await expect(start('version')).rejects.toThrow(/was made by PostgreSQL 9, this is \d+: remove/);
});

test('each test file may have a migrated database of its own', async () => {
  const [one, two] = await Promise.all([freshDatabase(), freshDatabase()]);
  expect(one).not.toBe(two);
  expect(await ask(one, 'select count(*)::int as n from jobs')).toEqual([{ n: 0 }]);
  await ask(one, 'drop table jobs cascade');
  expect(await ask(two, 'select count(*)::int as n from jobs')).toEqual([{ n: 0 }]);
});

test('says why it does not start', async () => {
  const { port } = await start('first');
  await expect(startPostgres({ dir: dirOf('second'), port, durable: false })).rejects.toThrow(
    /PostgreSQL did not start: .*could not create any TCP\/IP sockets/,
  );
});
