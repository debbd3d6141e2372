/**
 * Finds a Redis server program: on PATH, else the one that an npm package brings, else the
 * distribution's package unpacked under `.muster/`, else an error that says what to install. Each is
 * tried before it is used. Searched once per process.
 */
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { checkoutStateDir } from '../../engine/process/dev-secret.ts';
import { hasApt, unpackPackage } from './debian-packages.ts';
import type { Log } from './places.ts';
import { runTool } from './tool.ts';

export interface RedisBinary {
  command: string;
  /** The environment that the program needs (where its libraries are). */
  env: NodeJS.ProcessEnv;
}

const PROGRAMS = ['redis-server', 'valkey-server'] as const;
type Program = (typeof PROGRAMS)[number];
/** The first with sharded pub/sub. */
const OLDEST_MAJOR = 7;
/** A program that does not print its version in this time is useless. */
const VERSION_LIMIT_MS = 10_000;
let search: Promise<RedisBinary> | undefined;

/** Announces a download before it begins. Throws one paragraph when there is no Redis to be had. */
export function redisBinary(log: Log, signal?: AbortSignal): Promise<RedisBinary> {
  search ??= find(log, signal).catch((error: unknown) => {
    search = undefined;
    throw error;
  });
  return search;
}

async function find(log: Log, signal: AbortSignal | undefined): Promise<RedisBinary> {
  const present = [
    ...PROGRAMS.map((command) => ({ command, env: process.env })),
    ...fromNpm(),
    ...PROGRAMS.map((program) => binaryIn(unpackedAt(program), program)),
  ];
  for (const binary of present) {
    if (await runs(binary, signal)) return binary;
  }
  return download(log, signal);
}

/** Built for one C library: with another it does not run, or npm left it out. */
function fromNpm(): RedisBinary[] {
  try {
    const { resolve } = createRequire(import.meta.url);
    const manifest = resolve(`@falkordblite/${process.platform}-${process.arch}/package.json`);
    const command = path.join(path.dirname(manifest), 'bin/redis-server');
    return [{ command, env: process.env }];
  } catch {
    return [];
  }
}

async function download(log: Log, signal: AbortSignal | undefined): Promise<RedisBinary> {
  const reasons: string[] = [];
  for (const program of (await hasApt(signal)) ? PROGRAMS : []) {
    const target = unpackedAt(program);
    log(`No Redis here: getting the package ${program} by apt, into ${target}`);
    try {
      await unpackPackage(program, target, {
        runs: (root) => runs(binaryIn(root, program), signal),
        signal,
      });
      return binaryIn(target, program);
    } catch (error) {
      signal?.throwIfAborted();
      reasons.push((error as Error).message);
    }
  }
  const tried = reasons.length > 0 ? ` (apt was tried: ${reasons.join('; ')})` : '';
  throw new Error(
    `There is no Redis ${OLDEST_MAJOR} or newer on this machine${tried}. Install redis-server or valkey-server so that it is on PATH, for example with "apt-get install redis-server", "apk add redis", "dnf install valkey" or "brew install redis", or set REDIS_URL to a server that runs elsewhere, e.g. REDIS_URL=redis://127.0.0.1:6379.`,
  );
}

function unpackedAt(program: Program): string {
  return path.join(checkoutStateDir, 'packages', `${program}-${process.arch}`);
}

function binaryIn(root: string, program: Program): RedisBinary {
  const command = path.join(root, 'usr/bin', program);
  return { command, env: { ...process.env, LD_LIBRARY_PATH: libraryFolders(root).join(':') } };
}

/** Debian keeps libraries in a folder named after the machine's triplet. */
function libraryFolders(root: string): string[] {
  return ['usr/lib', 'lib']
    .map((part) => path.join(root, part))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => [folder, ...readdirSync(folder).map((name) => path.join(folder, name))]);
}

async function runs(
  { command, env }: RedisBinary,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const options = { cwd: '/', env, limitMs: VERSION_LIMIT_MS, signal };
  const { stdout } = await runTool(command, ['--version'], options);
  const major = /v=(\d+)\./.exec(stdout)?.[1];
  return major !== undefined && Number(major) >= OLDEST_MAJOR;
}
