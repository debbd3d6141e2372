/** How drivers answered their offers of the last 30 days: exact when asked, cheap for ever. */
import type { EngineContext } from '../context.ts';
import { type DriverCounters, driverCounters, foldJobs } from '../pg/counters.ts';

/** Keeps a statement short: a job may have reached hundreds of drivers. */
const FOLD_BATCH = 100;
/** Rounds of one run; the next run does the rest. */
const ROUNDS_MAX = 50;
/** What one call folds at most. */
export const FOLDED_AT_ONCE = FOLD_BATCH * ROUNDS_MAX;

export interface Counters {
  /** The counters of one driver, exact at the moment of the call. */
  of(driverId: string): Promise<DriverCounters>;
  /**
   * Adds jobs that are over to the daily counters of their drivers, until none is left or `signal`
   * aborts. Returns how many.
   */
  fold(signal?: AbortSignal): Promise<number>;
}

export function createCounters({ db }: Pick<EngineContext, 'db'>): Counters {
  return {
    of: (driverId) => driverCounters(db, driverId),
    async fold(signal) {
      let folded = 0;
      for (let round = 0; round < ROUNDS_MAX && !signal?.aborted; round++) {
        const count = await foldJobs(db, FOLD_BATCH);
        folded += count;
        if (count < FOLD_BATCH) break;
      }
      return folded;
    },
  };
}
