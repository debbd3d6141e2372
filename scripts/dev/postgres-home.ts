/**
 * Where an embedded PostgreSQL lives and as which user it runs. It refuses to run as root, so then it
 * runs as an unprivileged user, in /var/tmp where that user cannot reach the folder. Others may share
 * that user: his folder holds the data and nothing that we open as root.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, lstatSync, mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { checkout, type Log, pathHash } from './places.ts';
import { nativePrograms, readablePrograms } from './postgres-programs.ts';
import { runTool } from './tool.ts';

export interface Account {
  uid: number;
  gid: number;
}

export interface PostgresHome {
  /** Holds the data folder; writable by the account. */
  dir: string;
  /** A folder beside the one that was asked for, readable by us alone. */
  passwordFile: string;
  logFile: string;
  /** Holds initdb and postgres; readable by the account. */
  bin: string;
  /** Undefined: our own user. */
  account: Account | undefined;
}

/** The uid and gid that most systems call nobody, should `id` not know it. */
const NOBODY = 65_534;

/** Makes the home of the server whose folder is `dir`; says so if it must be elsewhere. */
export async function postgresHome(
  dir: string,
  log: Log,
  signal?: AbortSignal,
): Promise<PostgresHome> {
  const account = unprivilegedAccount();
  const native = await nativePrograms(account, signal);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const own = { passwordFile: `${dir}.password`, logFile: `${dir}.log`, account };
  if (!account) return { ...own, dir, bin: path.join(native, 'bin') };
  const outside = `/var/tmp/muster-${pathHash(dir)}`;
  const reached = await ownedBy(account, dir, signal);
  const home = reached ? dir : elsewhere(outside, account);
  if (!reached) {
    log(
      `PostgreSQL runs as user ${account.uid}, who cannot reach ${dir}: its state is in ${outside}`,
    );
  }
  const programs = await readablePrograms(native, () => ourFolder(outside), account, signal);
  return { ...own, dir: home, bin: path.join(programs, 'bin') };
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
async function ownedBy(
  account: Account,
  dir: string,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  chownSync(dir, account.uid, account.gid);
  const script = 'cd "$1" && [ -w . ]';
  const options = { ...account, cwd: '/', signal };
  return (await runTool('/bin/sh', ['-c', script, 'sh', dir], options)).ok;
}

function elsewhere(outside: string, account: Account): string {
  const home = path.join(ourFolder(outside), 'postgres');
  mkdirSync(home, { recursive: true, mode: 0o700 });
  chownSync(home, account.uid, account.gid);
  return home;
}

/** Anybody may write to /var/tmp: a folder or link that somebody else put there is not ours. */
function ourFolder(dir: string): string {
  mkdirSync(dir, { recursive: true, mode: 0o711 });
  const { uid } = lstatSync(dir);
  if (lstatSync(dir).isSymbolicLink() || uid !== 0) {
    throw new Error(`${dir} belongs to another user: remove it, or set DATABASE_URL`);
  }
  chmodSync(dir, 0o711);
  return dir;
}
