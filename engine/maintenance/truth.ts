/** Postgres may go back, by an older dump or a failover that lost its tail: Redis follows it at once. */
import type { EngineContext } from '../context.ts';
import { createTruthWatch } from '../truth/truth.ts';
import type { Duty } from './duty.ts';

/** A lost tail longer than this shows by the mark alone. */
const EVERY_MS = 1000;

export function truthDuty(ctx: EngineContext): Duty {
  const watch = createTruthWatch(ctx);
  return { name: 'resynced', everyMs: EVERY_MS, run: (signal) => watch(signal) };
}
