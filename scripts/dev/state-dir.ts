/**
 * The state folder of a stack (`.muster/`) and the passwords kept in it. A development machine may
 * have other users: what lies there, pushes and device tokens among it, is its owner's alone.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Files that this process and its children write from now on are for their user only. */
const PRIVATE_UMASK = 0o077;

/**
 * Makes the folder, and closes it to other users, including anything that an earlier start left open.
 * As root the folder can be traversed by the user that PostgreSQL runs as, who then owns `postgres`
 * in it.
 */
export function makeStateDir(dir: string): void {
  process.umask(PRIVATE_UMASK);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const shared = process.getuid?.() === 0;
  chmodSync(dir, shared ? 0o711 : 0o700);
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    if (entry.isSymbolicLink()) continue;
    chmodSync(path.join(dir, entry.name), entry.isDirectory() ? 0o700 : 0o600);
  }
}

/** The password in a file that only we may read; random if there is none yet. */
export function keptPassword(file: string): string {
  const kept = readPassword(file);
  if (kept) return kept;
  const password = randomBytes(24).toString('hex');
  writeFileSync(file, `${password}\n`, { mode: 0o600 });
  return password;
}

/** Undefined when there is none. */
export function readPassword(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}
