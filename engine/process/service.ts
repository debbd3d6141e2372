/**
 * The life of a serving process. Signals count from the first moment on: one that comes while the start
 * still waits ends the process at once. Later SIGTERM begins an orderly end: readiness fails,
 * everything is served for a while so that balancers notice, then the process drains, phase after phase.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../context.ts';
import { withDeadline } from './deadline.ts';
import { exitProcess } from './log-output.ts';
import { runProcess } from './main.ts';
import { mustHaveNoArguments } from './no-arguments.ts';

/** A part of an orderly end. When it is late or fails, the next one begins all the same. */
export interface Phase {
  name: string;
  limitMs: number;
  run: () => Promise<unknown>;
}

export interface Ending {
  log: Logger;
  /** How long after SIGTERM everything is still served. */
  delayMs: number;
  /** One after the other; the process exits with 1 when one did not end in order. */
  phases: readonly Phase[];
}

export interface Service {
  /** Aborted when the process is told to stop: it is no longer ready. */
  stopping: AbortSignal;
  /** How the process ends from now on. */
  endWith(ending: Ending): void;
}

/** Starts a service; SIGTERM, SIGINT, SIGHUP, or the end of the parent that started it, stop it once. */
export function runService(
  name: string,
  start: (service: Service) => Promise<void>,
): Promise<void> {
  const stopping = new AbortController();
  let ending: Ending | undefined;
  const begin = (why: NodeJS.Signals | 'parent gone') => {
    if (stopping.signal.aborted) return;
    stopping.abort();
    // Nothing is served yet, and the stores just see a connection end.
    void (ending ? end(ending, why) : exitProcess(0));
  };
  // The terminal sends SIGHUP when it is closed; some supervisors do so to restart a process.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, begin);
  return runProcess(name, async () => {
    mustHaveNoArguments(`npm run ${name}`);
    stopWithParent(() => begin('parent gone'));
    await start({
      stopping: stopping.signal,
      endWith(how) {
        ending = how;
      },
    });
  });
}

/** Further signals change nothing: each phase has its limit. */
async function end({ log, delayMs, phases }: Ending, why: string): Promise<never> {
  log.info({ why }, 'stopping');
  if (why === 'SIGTERM') await sleep(delayMs);
  let code = 0;
  for (const { name, limitMs, run } of phases) {
    const late = () => new Error(`not done within ${limitMs} ms`);
    try {
      await withDeadline(run(), limitMs, late);
    } catch (error) {
      code = 1;
      log.error({ err: error, phase: name }, 'stopping: a phase did not end in order');
    }
  }
  return exitProcess(code);
}

/** If a parent with a channel started us, stop when it is gone: nobody else would stop us. */
function stopWithParent(stop: () => void): void {
  if (!process.send) return;
  process.once('disconnect', stop);
  if (!process.connected) stop();
}
