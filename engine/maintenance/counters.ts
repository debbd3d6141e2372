/** Adds jobs that are over to the daily counters of the drivers who were offered them. */
import type { EngineContext } from '../context.ts';
import { createCounters } from '../history/counters.ts';
import type { Duty } from './duty.ts';

/** What is not folded yet is counted whenever a driver asks, so it should be little. */
const EVERY_MS = 5000;

export function foldDuty(ctx: EngineContext): Duty {
  const counters = createCounters(ctx);
  return {
    name: 'job_folded',
    everyMs: EVERY_MS,
    repairs: false,
    run: (signal) => counters.fold(signal),
  };
}
