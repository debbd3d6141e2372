/**
 * The life of a serving process. Signals count from the first moment on: one that comes while the start
 * still waits ends the process at once. Later SIGTERM begins an orderly end: readiness fails,
 * everything is served for a while so that balancers notice, then the process drains.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../context.ts';
import { exitProcess } from './log-output.ts';
import { runProcess } from './main.ts';

export interface Ending {
  log: Logger;
  /** How long after SIGTERM everything is still served. */
  delayMs: number;
  /** How long `stop` may take; then the process exits with 1. */
  limitMs: number;
  stop: () => Promise<void>;
}

export interface Service {
  /** Aborted when the process is told to stop: it is no longer ready. */
  stopping: AbortSignal;
  /** How the process ends from now on. */
  endWith(ending: Ending): void;
}

/** Starts a service; SIGTERM, SIGINT, or the end of the parent that started it, stop it once. */
export function runService(
  name: string,
  start: (service: Service) => Promise<void>,
): Promise<void> {
  const stopping = new AbortController();
  let ending: Ending | undefined;
  const begin = (why: 'SIGTERM' | 'SIGINT' | 'parent gone') => {
    if (stopping.signal.aborted) return;
    stopping.abort();
    // Nothing is served yet, and the stores just see a connection end.
    void (ending ? end(ending, why) : exitProcess(0));
  };
  process.on('SIGTERM', () => begin('SIGTERM'));
  process.on('SIGINT', () => begin('SIGINT'));
  return runProcess(name, async () => {
    stopWithParent(() => begin('parent gone'));
    await start({
      stopping: stopping.signal,
      endWith(how) {
        ending = how;
      },
    });
  });
}

/** Further signals change nothing: the stop has a time limit. */
async function end(ending: Ending, why: string): Promise<never> {
  const { log, delayMs, limitMs, stop } = ending;
  log.info({ why }, 'stopping');
  if (why === 'SIGTERM') await sleep(delayMs);
  setTimeout(() => {
    log.warn({ limitMs }, 'did not stop in time');
    void exitProcess(1);
  }, limitMs).unref();
  try {
    await stop();
  } catch (error) {
    log.error({ err: error }, 'stopping failed');
    return exitProcess(1);
  }
  return exitProcess(0);
}

/** If a parent with a channel started us, stop when it is gone: nobody else would stop us. */
function stopWithParent(stop: () => void): void {
  if (!process.send) return;
  process.once('disconnect', stop);
  if (!process.connected) stop();
}
