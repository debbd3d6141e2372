/**
 * The data folder of an embedded PostgreSQL: made once, complete or not at all, with a random
 * password that only the owner of the folder can read.
 */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { PostgresHome } from './postgres-home.ts';

/** Makes `data` when it is missing. Throws one sentence when it cannot be made or used. */
export function createCluster(home: PostgresHome, data: string, durable: boolean): void {
  if (existsSync(data)) {
    refuseOtherVersion(home, data);
    return;
  }
  writePassword(home);
  const unfinished = `${data}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  const made = spawnSync(
    path.join(home.bin, 'initdb'),
    [
      ...['--pgdata', unfinished, '--username', 'muster', '--pwfile', passwordFile(home)],
      ...['--auth', 'scram-sha-256', '--encoding', 'UTF8', '--no-locale'],
      ...(durable ? [] : ['--no-sync']),
    ],
    { ...home.account, cwd: home.dir, encoding: 'utf8' },
  );
  if (made.status !== 0) {
    const why = made.error?.message ?? made.stderr.trim().split('\n').at(-1);
    throw new Error(`PostgreSQL could not make its data folder ${data}: ${why}`);
  }
  renameSync(unfinished, data);
}

export function readPassword(home: PostgresHome): string {
  return readFileSync(passwordFile(home), 'utf8').trim();
}

function writePassword(home: PostgresHome): void {
  const file = passwordFile(home);
  writeFileSync(file, `${randomBytes(16).toString('hex')}\n`, { mode: 0o600 });
  if (home.account) chownSync(file, home.account.uid, home.account.gid);
}

function passwordFile(home: PostgresHome): string {
  return path.join(home.dir, 'password');
}

function refuseOtherVersion(home: PostgresHome, data: string): void {
  const made = readFileSync(path.join(data, 'PG_VERSION'), 'utf8').trim();
  const { stdout } = spawnSync(path.join(home.bin, 'postgres'), ['--version'], {
    ...home.account,
    cwd: '/',
    encoding: 'utf8',
  });
  const ours = /\) (\d+)/.exec(stdout)?.[1];
  if (ours !== made) {
    throw new Error(
      `${data} was made by PostgreSQL ${made}, this is ${ours}: remove ${home.dir} to begin with an empty database`,
    );
  }
}
