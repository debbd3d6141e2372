/** Where the development stack keeps things, and how it speaks while it starts. */
import { createHash } from 'node:crypto';
import { accessSync, chmodSync, constants, mkdirSync, mkdtempSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Says one line to the person who waits. */
export type Log = (line: string) => void;

export const checkout = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** Progress for the person who waits, apart from the output proper. */
export const logToStderr: Log = (line) => {
  process.stderr.write(`${line}\n`);
};

/** A new folder that an unprivileged server may pass through as well; the caller removes it. */
export function temporaryDir(prefix: string): string {
  const dir = mkdtempSync(path.join(temporaryRoot(), prefix));
  chmodSync(dir, 0o711);
  return dir;
}

/**
 * The system's folder for temporary files; where this user may not write to it, one in the checkout,
 * which this process and its children then use instead.
 */
export function temporaryRoot(): string {
  const system = os.tmpdir();
  try {
    accessSync(system, constants.W_OK | constants.X_OK);
    return system;
  } catch {
    const own = path.join(checkout, '.muster', 'tmp');
    mkdirSync(own, { recursive: true, mode: 0o711 });
    process.env.TMPDIR = own;
    return own;
  }
}

/** A short name for a path, the same each time. */
export function pathHash(dir: string): string {
  return createHash('sha256').update(path.resolve(dir)).digest('hex').slice(0, 12);
}
