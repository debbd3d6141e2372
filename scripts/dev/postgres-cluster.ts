/**
 * The data folder of an embedded PostgreSQL: made once, complete or not at all, with a random
 * password. The password stays with us: the account that runs the server, which others may share,
 * sees only the server's verifier of it.
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fchownSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import type { PostgresHome } from './postgres-home.ts';
import { keptPassword, readPassword } from './state-dir.ts';
import { runTool } from './tool.ts';

export interface ClusterOptions {
  durable: boolean;
  signal?: AbortSignal | undefined;
}

/** The number of iterations that PostgreSQL itself uses. */
const SCRAM_ITERATIONS = 4096;

/**
 * Creates `data` when it is missing, and returns its password. Throws one sentence when it cannot be
 * created or used.
 */
export async function createCluster(
  home: PostgresHome,
  data: string,
  options: ClusterOptions,
): Promise<string> {
  if (!existsSync(data)) {
    const password = keptPassword(home.passwordFile);
    await initialise(home, data, password, options);
    return password;
  }
  await refuseOtherVersion(home, data, options.signal);
  const kept = readPassword(home.passwordFile);
  if (kept) return kept;
  const password = keptPassword(home.passwordFile);
  await setPassword(home, data, password, options.signal);
  return password;
}

async function initialise(
  home: PostgresHome,
  data: string,
  password: string,
  { durable, signal }: ClusterOptions,
): Promise<void> {
  const unfinished = `${data}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  const verifierFile = writeVerifier(home, password);
  const made = await runTool(
    path.join(home.bin, 'initdb'),
    [
      ...['--pgdata', unfinished, '--username', 'muster', '--pwfile', verifierFile],
      ...['--auth', 'scram-sha-256', '--encoding', 'UTF8', '--no-locale'],
      ...(durable ? [] : ['--no-sync']),
    ],
    { ...home.account, cwd: home.dir, signal },
  );
  rmSync(verifierFile, { force: true });
  if (!made.ok) {
    const why = made.problem ?? made.stderr.trim().split('\n').at(-1);
    throw new Error(`PostgreSQL could not make its data folder ${data}: ${why}`);
  }
  renameSync(unfinished, data);
}

/** A file for initdb to read. Never writes to a file that others may have put at its path. */
function writeVerifier(home: PostgresHome, password: string): string {
  const file = path.join(home.dir, 'verifier');
  rmSync(file, { force: true });
  const opened = openSync(file, 'wx', 0o600);
  try {
    writeSync(opened, `${scramVerifier(password)}\n`);
    if (home.account) fchownSync(opened, home.account.uid, home.account.gid);
  } finally {
    closeSync(opened);
  }
  return file;
}

/** Sets a new password through a server that listens nowhere, since nobody knows the old one any more. */
async function setPassword(
  home: PostgresHome,
  data: string,
  password: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const set = await runTool(path.join(home.bin, 'postgres'), ['--single', '-D', data, 'postgres'], {
    ...home.account,
    cwd: data,
    input: `alter role muster password '${scramVerifier(password)}'\n`,
    signal,
  });
  if (set.ok) return;
  rmSync(home.passwordFile, { force: true });
  const why = set.stderr.split('\n').find((line) => /FATAL|PANIC/.test(line)) ?? set.problem;
  throw new Error(`the password of ${data} is lost and could not be set anew: ${why}`);
}

/** RFC 5803, as `pg_authid` keeps it: proves a password without telling it. */
function scramVerifier(password: string): string {
  const salt = randomBytes(16);
  const salted = pbkdf2Sync(password, salt, SCRAM_ITERATIONS, 32, 'sha256');
  const keyOf = (text: string) => createHmac('sha256', salted).update(text).digest();
  const storedKey = createHash('sha256').update(keyOf('Client Key')).digest('base64');
  const serverKey = keyOf('Server Key').toString('base64');
  return `SCRAM-SHA-256$${SCRAM_ITERATIONS}:${salt.toString('base64')}$${storedKey}:${serverKey}`;
}

async function refuseOtherVersion(
  home: PostgresHome,
  data: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const made = readFileSync(path.join(data, 'PG_VERSION'), 'utf8').trim();
  const options = { ...home.account, cwd: '/', signal };
  const { stdout } = await runTool(path.join(home.bin, 'postgres'), ['--version'], options);
  const ours = /\) (\d+)/.exec(stdout)?.[1];
  if (ours !== made) {
    throw new Error(
      `${data} was made by PostgreSQL ${made}, this is ${ours}: remove ${home.dir} to begin with an empty database`,
    );
  }
}
