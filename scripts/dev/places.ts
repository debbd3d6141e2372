/** Where the development stack keeps things, and how it speaks while it starts. */
import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Says one line to the person who waits. */
export type Log = (line: string) => void;

export const checkout = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** Lines for the person who waits, beside the output proper. */
export const logToStderr: Log = (line) => {
  process.stderr.write(`${line}\n`);
};

/** A new folder that an unprivileged server may pass through as well; the caller removes it. */
export function temporaryDir(prefix: string): string {
  const dir = mkdtempSync(path.join(os.tmpdir(), prefix));
  chmodSync(dir, 0o711);
  return dir;
}

/** A short name for a path, the same each time. */
export function pathHash(dir: string): string {
  return createHash('sha256').update(path.resolve(dir)).digest('hex').slice(0, 12);
}
