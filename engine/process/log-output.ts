/**
 * Standard output as logs use it: written beside the work, with a limit on what waits and on how long the
 * end of the process waits for it. A reader that stands still (a stopped terminal, a log driver that hangs)
 * must neither hold the process up, nor fill its memory, nor keep it from ending.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';

/** Lines beyond this are dropped, and counted. */
const WAITING_MAX_BYTES = 4 * 1024 * 1024;
/** How long the process stays for a reader that is behind. */
const FLUSH_LIMIT_MS = 1000;

type Output = ReturnType<typeof pino.destination>;

let output: Output | undefined;

/** The one output of this process; `onDropped` hears how many lines were lost when it is read again. */
export function logOutput(onDropped: (lines: number) => void): Output {
  // Asked for by `process.stdout`, which makes a pipe non-blocking: a write that blocks would hold up the
  // end of the process. The least length is there because `flush` returns at once without one.
  output ??= pino.destination({
    dest: process.stdout.fd,
    sync: false,
    minLength: 1,
    maxLength: WAITING_MAX_BYTES,
  });
  let dropped = 0;
  output.on('drop', () => {
    dropped++;
  });
  output.on('drain', () => {
    if (dropped === 0) return;
    const lines = dropped;
    dropped = 0;
    onDropped(lines);
  });
  return output;
}

/**
 * Ends the process once its log is written, or cannot be within a second. A bare `process.exit` would wait
 * for the log's reader without a limit, deaf to signals.
 */
export async function exitProcess(code: number): Promise<never> {
  const out = output;
  if (out) {
    const flushed = new Promise<void>((resolve) => {
      out.flush(() => resolve());
    });
    await Promise.race([flushed, sleep(FLUSH_LIMIT_MS)]);
    out.destroy();
  }
  process.exit(code);
}
