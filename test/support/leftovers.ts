/**
 * What an earlier run of the suite left when it was killed: its servers are stopped and its folder
 * is removed before the next run begins. A run that is still going on is left alone.
 */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { temporaryRoot } from '../../scripts/dev/places.ts';
import { commandLine, signal, startedAt } from '../../scripts/dev/process-table.ts';

const OWNER = 'owner.json';

/** Says that this process uses the folder. */
export function markOwner(dir: string): void {
  const owner = { pid: process.pid, startedAt: startedAt(process.pid) };
  writeFileSync(path.join(dir, OWNER), JSON.stringify(owner));
}

/** Clears away the folders whose owners are gone. */
export function removeLeftovers(): void {
  const root = temporaryRoot();
  for (const name of readdirSync(root)) {
    const dir = path.join(root, name);
    if (!name.startsWith('muster-test-') || !isAbandoned(dir)) continue;
    try {
      removeSuite(dir);
    } catch (error) {
      // Another run that begins clears the same folder away, or is about to have done so.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' && existsSync(dir)) throw error;
    }
  }
}

/** Ends the servers that still run in a suite's folder, and removes it. */
export function removeSuite(dir: string): void {
  for (const pid of serversIn(dir)) signal(pid, 'SIGKILL');
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
}

function isAbandoned(dir: string): boolean {
  try {
    const owner = JSON.parse(readFileSync(path.join(dir, OWNER), 'utf8'));
    return startedAt(owner.pid) !== owner.startedAt;
  } catch {
    // Not marked yet, or not ours.
    return false;
  }
}

function serversIn(dir: string): number[] {
  const files = readdirSync(dir, { recursive: true, encoding: 'utf8' });
  return files
    .filter((file) => ['redis.pid', 'postmaster.pid'].includes(path.basename(file)))
    .map((file) => Number.parseInt(readFileSync(path.join(dir, file), 'utf8'), 10))
    .filter((pid) => pid > 1 && commandLine(pid).includes(dir));
}
