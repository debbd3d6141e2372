/** Drivers: changes that did not reach Redis, and what Redis lost since. */
import type { EngineContext } from '../context.ts';
import { listUnsynced } from '../pg/drivers.ts';
import { type Duty, forEach } from './duty.ts';

const EVERY_MS = 1000;
/** All drivers at work are read for it. As often as zones are swept, and for the same reason. */
const SWEEP_MS = 45_000;
const BATCH = 500;
/** What is younger is still being done by the process that caused it. */
const GRACE_MS = 2000;

export function driversDuty(ctx: EngineContext): Duty {
  return {
    name: 'driver_synced',
    everyMs: EVERY_MS,
    async run(signal) {
      const ids = await listUnsynced(ctx.db, GRACE_MS, BATCH);
      // Redis takes no change whose rev it has gone beyond.
      await ctx.drivers.mend(ids);
      return forEach(ids, signal, (id) => ctx.drivers.sync(id));
    },
  };
}

/** What Redis holds of drivers is compared with Postgres, whether or not anything seems wrong. */
export function driversSweepDuty(ctx: EngineContext): Duty {
  return {
    name: 'driver_indexed',
    everyMs: SWEEP_MS,
    run: (signal) => ctx.drivers.sweep(signal),
  };
}
