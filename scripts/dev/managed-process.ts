/**
 * Child processes of the development stack. Each runs in a process group of its own, so a Ctrl-C
 * reaches only the parent, which stops them in order; none outlives an ordinary end of the parent.
 * Called by whatever starts a server or one of our own processes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, renameSync } from 'node:fs';
import { bareEnvironment } from './bare-environment.ts';
import { isAlive, signal } from './process-table.ts';

export interface ManagedProcess {
  readonly pid: number;
  readonly child: ChildProcess;
  /** Why it ended, in words; pending while it runs. */
  readonly exited: Promise<string>;
  /** Asks it to end; after `limitMs` it is killed. Resolves when it is gone. */
  stop(limitMs: number): Promise<void>;
  /** Kills it at once, as a crash would. */
  kill(): Promise<void>;
}

export interface ManagedOptions {
  command: string;
  args: readonly string[];
  cwd: string;
  /** Where its output goes; the file of an earlier run is kept beside it as `.1`. */
  logFile: string;
  /** By default ours, or for another account as little of it as possible. */
  env?: NodeJS.ProcessEnv | undefined;
  account?: { uid: number; gid: number } | undefined;
  /** `channel`: an IPC channel, whose end tells the child that we are gone. */
  stdio?: 'log' | 'channel' | 'channel-and-stdout' | undefined;
  /** The signal that asks for an orderly end, and the one that insists. */
  signals?: readonly [NodeJS.Signals, NodeJS.Signals] | undefined;
}

/** How long a process may take to vanish after the second signal. */
const INSIST_LIMIT_MS = 1000;
const POLL_MS = 20;
const running = new Map<ChildProcess, NodeJS.Signals>();

/** Starts it. Throws when it cannot even be executed. */
export async function spawnManaged(options: ManagedOptions): Promise<ManagedProcess> {
  const [ask, insist] = options.signals ?? ['SIGTERM', 'SIGKILL'];
  const child = spawnChild(options);
  const { promise: exited, resolve } = Promise.withResolvers<string>();
  child.once('exit', (code, name) => {
    running.delete(child);
    resolve(name ? `was ended by ${name}` : `exited with code ${code}`);
  });
  await started(child, options.command);
  const pid = child.pid as number;
  watchOwnEnd();
  running.set(child, insist);
  const end = async (first: NodeJS.Signals, limitMs: number) => {
    for (const [name, ms] of [
      [first, limitMs],
      [insist, INSIST_LIMIT_MS],
    ] as const) {
      if (child.exitCode !== null || child.signalCode !== null) break;
      signal(pid, name);
      await within(exited, ms);
    }
    if (child.exitCode === null && child.signalCode === null) signal(pid, 'SIGKILL');
    await exited;
  };
  return {
    pid,
    child,
    exited,
    stop: (limitMs) => end(ask, limitMs),
    kill: () => end('SIGKILL', INSIST_LIMIT_MS),
  };
}

/** Ends a process that is not our child: an orphan whose parent was killed. */
export async function stopOrphan(
  pid: number,
  signals: readonly [NodeJS.Signals, NodeJS.Signals],
  limitMs: number,
): Promise<void> {
  for (const name of [...signals, 'SIGKILL'] as const) {
    signal(pid, name);
    const end = Date.now() + limitMs;
    while (Date.now() < end) {
      if (!isAlive(pid)) return;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

/**
 * The last line of a log that says why its process ended (`telling`), else the last line; empty when there
 * is none.
 */
export function lastLine(logFile: string, telling?: RegExp): string {
  if (!existsSync(logFile)) return '';
  const lines = readFileSync(logFile, 'utf8').trim().split('\n');
  return lines.findLast((line) => telling?.test(line)) ?? lines.at(-1) ?? '';
}

function spawnChild(options: ManagedOptions): ChildProcess {
  if (existsSync(options.logFile)) renameSync(options.logFile, `${options.logFile}.1`);
  const log = openSync(options.logFile, 'a', 0o600);
  const out = options.stdio === 'channel-and-stdout' ? 'pipe' : log;
  const channel = options.stdio?.startsWith('channel') ? (['ipc'] as const) : [];
  try {
    return spawn(options.command, options.args, {
      cwd: options.cwd,
      env: options.env ?? (options.account ? bareEnvironment() : process.env),
      detached: true,
      stdio: ['ignore', out, log, ...channel],
      ...options.account,
    });
  } finally {
    closeSync(log);
  }
}

async function started(child: ChildProcess, command: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.once('spawn', resolve);
  child.once('error', (error) => reject(new Error(`${command} cannot be run: ${error.message}`)));
  await promise;
}

let watching = false;

/** Whatever ends this process (an exception, `process.exit`), its children go first. */
function watchOwnEnd(): void {
  if (watching) return;
  watching = true;
  process.on('exit', () => {
    for (const [child, insist] of running) child.kill(insist);
  });
}

async function within(promise: Promise<unknown>, limitMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise((resolve) => {
    timer = setTimeout(resolve, limitMs);
  });
  await Promise.race([promise, limit]);
  clearTimeout(timer);
}
