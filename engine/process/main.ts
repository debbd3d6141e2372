/**
 * How a Muster process starts and stops: a start that cannot succeed ends with one line on stderr
 * and exit code 1; SIGTERM, SIGINT, or the end of the parent that started it, stop it once, in
 * order and within a limit.
 */

import type { Logger } from '../context.ts';
import { OldSchemaError } from '../engine.ts';
import { ConfigError } from './config.ts';

/** Starts; what the person at the keyboard can mend is said in one line, without a stack. */
export async function runProcess(name: string, start: () => Promise<void>): Promise<void> {
  try {
    await start();
  } catch (error) {
    process.stderr.write(`muster ${name}: ${oneLine(error)}\n`);
    process.exit(1);
  }
}

/** Listens; where that is impossible the variable is named that says where. */
export async function listenAs<T>(
  where: { host: string; port: number; variable: 'PORT' | 'WORKER_PORT' },
  listen: () => Promise<T>,
): Promise<T> {
  try {
    return await listen();
  } catch (error) {
    const { host, port, variable } = where;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE' || code === 'EACCES') {
      const why = code === 'EACCES' ? 'is not for this user' : 'is taken';
      throw new ConfigError(
        `${variable} is ${port}, which ${why} on ${host} (${code}): choose another, e.g. ${variable}=0 for a free one`,
      );
    }
    if (code !== undefined && BAD_HOST.has(code)) {
      throw new ConfigError(
        `HOST is "${host}", where one cannot listen (${code}), e.g. HOST=127.0.0.1`,
      );
    }
    throw error;
  }
}

/** What the system says of a host that is not found, or is not of this machine. */
const BAD_HOST: ReadonlySet<string> = new Set([
  ...['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EADDRNOTAVAIL', 'EINVAL', 'ERR_INVALID_ARG_VALUE'],
]);

/** Calls `stop` on the first signal; exits when it is done, or after `limitMs`. */
export function stopOnSignal(log: Logger, limitMs: number, stop: () => Promise<void>): void {
  let stopping = false;
  const begin = (why: string) => {
    if (stopping) return;
    stopping = true;
    log.info({ why }, 'stopping');
    setTimeout(() => {
      log.warn({ limitMs }, 'did not stop in time');
      process.exit(1);
    }, limitMs).unref();
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'stopping failed');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', () => begin('SIGTERM'));
  process.on('SIGINT', () => begin('SIGINT'));
  // Started by a parent with a channel: when the parent is gone, nobody would stop us.
  if (!process.send) return;
  process.once('disconnect', () => begin('parent gone'));
  if (!process.connected) begin('parent gone');
}

function oneLine(error: unknown): string {
  if (error instanceof ConfigError || error instanceof OldSchemaError) return error.message;
  // A failed statement says what it was; its cause says why it failed.
  const root = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const first = root instanceof AggregateError ? root.errors[0] : root;
  const { code, message } = first as NodeJS.ErrnoException;
  const text = code === 'ECONNREFUSED' ? `cannot connect: ${message}` : message;
  return String(text).split('\n')[0] as string;
}
