/**
 * Our own processes as children of the stack: api, workers, the APNs simulator. Each says when it is
 * ready; if one ends before that, the error has the reason that it gave.
 */

import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Env } from '../../engine/process/config.ts';
import { lastLine, type ManagedProcess, spawnManaged } from './managed-process.ts';
import { checkout } from './places.ts';

/** Node must load everything, on a machine that is busy with the other processes. */
const READY_LIMIT_MS = 60_000;

/** Pino's number. */
const WARN = 40;

interface LogLine {
  level: number;
  msg?: string;
  err?: { message?: string };
}

export interface OwnProcessOptions {
  name: string;
  /** Path of the entry in the checkout. */
  entry: string;
  args?: readonly string[];
  env: Env;
  logDir: string;
  signal?: AbortSignal | undefined;
  /** Told of the process at once, so that it can be stopped even if it never becomes ready. */
  onSpawn(process: ManagedProcess): void;
}

/** Resolves with its message of this type, sent over the channel. */
export async function startOwnProcess<T>(options: OwnProcessOptions, type: string): Promise<T> {
  const managed = await spawnOwn(options, 'channel');
  const message = new Promise<T>((resolve) => {
    managed.child.on('message', (value) => {
      if ((value as { type?: unknown }).type === type) resolve(value as T);
    });
  });
  return ready(options, managed, message);
}

/** Resolves with the JSON of the first line that it prints. */
export async function startAndReadLine<T>(options: OwnProcessOptions): Promise<T> {
  const managed = await spawnOwn(options, 'channel-and-stdout');
  const stdout = managed.child.stdout;
  if (!stdout) throw new Error(`${options.name} has no output`);
  const lines = createInterface({ input: stdout });
  const line = new Promise<T>((resolve, reject) => {
    lines.once('line', (text) => {
      try {
        resolve(JSON.parse(text) as T);
      } catch {
        reject(new Error(`${options.name} said "${text}" where JSON was expected`));
      }
    });
  });
  return ready(options, managed, line);
}

/** Its last complaint: a warning in its log, or a line of plain text; else empty. */
export function lastWords(logFile: string): string {
  const line = lastLine(logFile);
  try {
    const { level, msg, err } = JSON.parse(line) as LogLine;
    return level >= WARN ? [msg, err?.message].filter(Boolean).join(': ') : '';
  } catch {
    return line;
  }
}

export function logFileOf({ logDir, name }: Pick<OwnProcessOptions, 'logDir' | 'name'>): string {
  return path.join(logDir, `${name}.log`);
}

async function spawnOwn(
  options: OwnProcessOptions,
  stdio: 'channel' | 'channel-and-stdout',
): Promise<ManagedProcess> {
  options.signal?.throwIfAborted();
  const managed = await spawnManaged({
    command: process.execPath,
    args: [options.entry, ...(options.args ?? [])],
    cwd: checkout,
    env: { ...options.env },
    logFile: logFileOf(options),
    stdio,
  });
  options.onSpawn(managed);
  return managed;
}

async function ready<T>(
  options: OwnProcessOptions,
  managed: ManagedProcess,
  message: Promise<T>,
): Promise<T> {
  const limit = AbortSignal.timeout(READY_LIMIT_MS);
  const signal = AbortSignal.any([limit, ...(options.signal ? [options.signal] : [])]);
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  const ended = managed.exited.then((how): never => {
    throw new Error(lastWords(logFileOf(options)) || `${options.name} ${how} while starting`);
  });
  try {
    return await Promise.race([message, ended, aborted.promise]);
  } catch (error) {
    if (!limit.aborted) throw error;
    throw new Error(`${options.name} was not ready in ${READY_LIMIT_MS / 1000} s`);
  } finally {
    signal.removeEventListener('abort', onAbort);
    ended.catch(() => {});
  }
}
