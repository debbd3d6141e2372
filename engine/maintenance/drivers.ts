/** Repairs drivers in Redis: changes that did not get there, and what Redis lost since. */
import type { EngineContext } from '../context.ts';
import { listUnsynced } from '../pg/drivers.ts';
import { type Duty, forEach } from './duty.ts';

const EVERY_MS = 1000;
/** Reads all drivers at work. As often as zones are swept, and for the same reason. */
const SWEEP_MS = 45_000;
const BATCH = 500;
/** Younger changes are still in the hands of the process that made them. */
const GRACE_MS = 2000;

export function driversDuty(ctx: EngineContext): Duty {
  return {
    name: 'driver_synced',
    everyMs: EVERY_MS,
    async run(signal) {
      const ids = await listUnsynced(ctx.db, GRACE_MS, BATCH);
      // Redis takes no change below the rev that it holds.
      await ctx.drivers.mend(ids);
      return forEach(ids, signal, (id) => ctx.drivers.sync(id));
    },
  };
}

/** Compares drivers in Redis with Postgres, whether or not anything seems wrong. */
export function driversSweepDuty(ctx: EngineContext): Duty {
  return {
    name: 'driver_indexed',
    everyMs: SWEEP_MS,
    run: (signal) => ctx.drivers.sweep(signal),
  };
}
