/**
 * Runs a program to its end without holding up the event loop: Ctrl-C works meanwhile, and a program
 * that dies of the same Ctrl-C is not mistaken for one that cannot run.
 */
import { execFile } from 'node:child_process';
import { bareEnvironment } from './bare-environment.ts';

export interface ToolOptions {
  cwd: string;
  /** By default ours, or for another user as little of it as possible. */
  env?: NodeJS.ProcessEnv;
  uid?: number;
  gid?: number;
  /** Written to its standard input, which then ends. */
  input?: string;
  limitMs?: number;
  signal?: AbortSignal | undefined;
}

export interface ToolResult {
  ok: boolean;
  stdout: string;
  stderr: string;
  /** Why it could not run or was ended; undefined when it ended by itself. */
  problem: string | undefined;
}

/** Long enough for a slow disk or mirror, short enough to notice that nothing comes. */
const LIMIT_MS = 180_000;
/** apt-cache tells of a few dozen packages at most. */
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

/** Resolves however it ends. Rejects with the signal's reason when that ended it. */
export async function runTool(
  command: string,
  args: readonly string[],
  { input, limitMs = LIMIT_MS, signal, ...options }: ToolOptions,
): Promise<ToolResult> {
  signal?.throwIfAborted();
  const { promise, resolve } = Promise.withResolvers<ToolResult>();
  const env = options.env ?? (options.uid === undefined ? process.env : bareEnvironment());
  const settings = { ...options, env, timeout: limitMs, maxBuffer: MAX_OUTPUT_BYTES };
  const child = execFile(command, args, settings, (error, stdout, stderr) => {
    const own = error && typeof error.code !== 'number' ? error.message : undefined;
    resolve({ ok: !error, stdout, stderr, problem: own });
  });
  const stop = () => child.kill('SIGTERM');
  signal?.addEventListener('abort', stop, { once: true });
  // A program that ends before it has read everything says why by its exit code.
  child.stdin?.on('error', () => {});
  child.stdin?.end(input);
  const result = await promise;
  signal?.removeEventListener('abort', stop);
  signal?.throwIfAborted();
  return result;
}
