/**
 * Finds a Redis server program: on PATH, else the distribution's package unpacked under `.muster/`,
 * else an error that says what to install. Looked for once a process.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { checkoutStateDir } from '../../engine/process/dev-secret.ts';
import { hasApt, unpackPackage } from './debian-packages.ts';
import type { Log } from './places.ts';

export interface RedisBinary {
  command: string;
  /** What the program needs around it (where its libraries lie). */
  env: NodeJS.ProcessEnv;
}

const PROGRAMS = ['redis-server', 'valkey-server'] as const;
/** The first with sharded pub/sub. */
const OLDEST_MAJOR = 7;
let found: RedisBinary | undefined;

/** Announces a download before it begins. Throws one paragraph when there is no Redis to be had. */
export function redisBinary(log: Log): RedisBinary {
  found ??= onPath() ?? unpacked() ?? downloaded(log);
  return found;
}

function onPath(): RedisBinary | undefined {
  const binaries = PROGRAMS.map((command) => ({ command, env: process.env }));
  return binaries.find((binary) => runs(binary));
}

function unpacked(): RedisBinary | undefined {
  for (const program of PROGRAMS) {
    const root = unpackedAt(program);
    const command = path.join(root, 'usr/bin', program);
    if (!existsSync(command)) continue;
    const libraries = libraryFolders(root).join(':');
    const binary = { command, env: { ...process.env, LD_LIBRARY_PATH: libraries } };
    if (runs(binary)) return binary;
  }
  return undefined;
}

function downloaded(log: Log): RedisBinary {
  const reasons: string[] = [];
  for (const program of hasApt() ? PROGRAMS : []) {
    log(`No Redis here: getting the package ${program} by apt, into ${unpackedAt(program)}`);
    try {
      unpackPackage(program, unpackedAt(program));
    } catch (error) {
      reasons.push((error as Error).message);
    }
    const binary = unpacked();
    if (binary) return binary;
  }
  const tried = reasons.length > 0 ? ` (apt was tried: ${reasons.join('; ')})` : '';
  throw new Error(
    `There is no Redis ${OLDEST_MAJOR} or newer on this machine${tried}. Install redis-server or valkey-server so that it is on PATH, for example with "apt-get install redis-server", "apk add redis", "dnf install valkey" or "brew install redis", or set REDIS_URL to a server that runs elsewhere, e.g. REDIS_URL=redis://127.0.0.1:6379.`,
  );
}

function unpackedAt(program: string): string {
  return path.join(checkoutStateDir, 'packages', `${program}-${process.arch}`);
}

/** Debian keeps libraries in a folder named after the machine's triplet. */
function libraryFolders(root: string): string[] {
  return ['usr/lib', 'lib']
    .map((part) => path.join(root, part))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => [folder, ...readdirSync(folder).map((name) => path.join(folder, name))]);
}

function runs({ command, env }: RedisBinary): boolean {
  const { stdout } = spawnSync(command, ['--version'], { env, encoding: 'utf8' });
  const major = /v=(\d+)\./.exec(stdout ?? '')?.[1];
  return major !== undefined && Number(major) >= OLDEST_MAJOR;
}
