/** Expires jobs whose time ran out, and opens waves that are due. */
import type { EngineContext } from '../context.ts';
import { tryDispatchWave } from '../jobs/dispatch.ts';
import { expireDue } from '../jobs/expire.ts';
import { openDueWaves } from '../jobs/waves.ts';
import { type Duty, forEach } from './duty.ts';

/** Twice a second: a job is at most a second older than it may be. */
const EVERY_MS = 500;
/** One statement each; about 50 ms of Postgres. */
const BATCH = 500;
/** Batches in one turn: 10 000 jobs, so that a burst of one customer is over in seconds. */
const BATCHES_MAX = 20;

export function expireDuty(ctx: EngineContext): Duty {
  return {
    name: 'job_expired',
    everyMs: EVERY_MS,
    repairs: false,
    async run(signal) {
      let total = 0;
      for (let i = 0; i < BATCHES_MAX && !signal.aborted; i++) {
        const done = await expireDue(ctx, BATCH);
        total += done;
        if (done < BATCH) break;
      }
      return total;
    },
  };
}

export function wavesDuty(ctx: EngineContext): Duty {
  return {
    name: 'wave_opened',
    everyMs: EVERY_MS,
    repairs: false,
    async run(signal) {
      const opened = await openDueWaves(ctx, BATCH);
      await forEach(opened, signal, (row) => tryDispatchWave(ctx, row));
      return opened.length;
    },
  };
}
