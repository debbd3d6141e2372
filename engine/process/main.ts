/**
 * How a Muster process starts and fails: a start that cannot succeed ends with one line on stderr and
 * exit code 1. No fault prints an error object, which may carry secrets, to stderr.
 */
import { ConfigError } from './config.ts';
import { toLoggable, withoutSecrets } from './log-error.ts';
import { exitProcess } from './log-output.ts';
import { StartError } from './start-error.ts';

/** Starts; an error that the person at the keyboard can fix is one line, without a stack. */
export async function runProcess(name: string, start: () => Promise<void>): Promise<void> {
  // When nobody reads stderr any more, each report of a fault would fail and be reported there again.
  process.stderr.on('error', () => {});
  process.on('uncaughtException', (error) => {
    process.stderr.write(`muster ${name}: ${JSON.stringify(toLoggable(error))}\n`);
    void exitProcess(1);
  });
  try {
    await start();
  } catch (error) {
    process.stderr.write(`muster ${name}: ${oneLine(error)}\n`);
    await exitProcess(1);
  }
}

/** Listens; if that is impossible, the error names the variable that says where. */
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

/** The system's codes for a host that is not found, or is not this machine. */
const BAD_HOST: ReadonlySet<string> = new Set([
  ...['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EADDRNOTAVAIL', 'EINVAL', 'ERR_INVALID_ARG_VALUE'],
]);

/** What went wrong, for the person at the keyboard: without secrets. */
export function oneLine(error: unknown): string {
  if (error instanceof ConfigError || error instanceof StartError) return error.message;
  // The message of a failed statement repeats it; its cause says why it failed.
  const root = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const first = root instanceof AggregateError ? root.errors[0] : root;
  const { code, message } = first as NodeJS.ErrnoException;
  const text = code === 'ECONNREFUSED' ? `cannot connect: ${message}` : message;
  return withoutSecrets(String(text));
}
