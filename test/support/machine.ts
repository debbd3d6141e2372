/** What the machine that runs the suite has, and machines with less of it. */

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { inject } from 'vitest';

/** A PATH with every program of ours but Redis's, in one folder of links. */
export function pathWithoutRedis(folder: string): string {
  mkdirSync(folder, { recursive: true });
  for (const dir of (process.env.PATH ?? '').split(path.delimiter)) {
    for (const name of listed(dir)) {
      if (/^(redis|valkey)-/.test(name)) continue;
      try {
        symlinkSync(path.join(dir, name), path.join(folder, name));
      } catch {
        // An earlier folder on PATH has it too, and counts.
      }
    }
  }
  return folder;
}

export interface OtherUser {
  uid: number;
  gid: number;
}

/** Somebody without rights, other than whom the embedded PostgreSQL runs as. */
export const UNPRIVILEGED: OtherUser = { uid: 1, gid: 1 };

/** Why a program cannot be run as that user here; undefined when it can. */
export function whyNotAs(user: OtherUser): string | undefined {
  if (process.getuid?.() !== 0) return 'only root may run programs as another user';
  const probe = spawnSync(process.execPath, ['--version'], { ...user, cwd: '/' });
  return probe.status === 0 ? undefined : 'the checkout is closed to other users';
}

/** Why apt cannot be tried here; undefined when it can. */
export function whyNoApt(): string | undefined {
  const folder = mkdtempSync(path.join(inject('suiteDir'), 'apt-'));
  const options = { cwd: folder, encoding: 'utf8', timeout: 60_000 } as const;
  const { error, stderr } = spawnSync('apt-get', ['download', 'redis-server'], options);
  if (error) return `apt does not run here: ${error.message}`;
  // Without package lists there is nothing to probe, and lists of our own are part of the test.
  return /Could not|Temporary failure|Failed to fetch/.test(stderr)
    ? 'its mirror cannot be reached'
    : undefined;
}

function listed(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}
