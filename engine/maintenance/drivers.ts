/** Changes of drivers that did not reach Redis. */
import type { EngineContext } from '../context.ts';
import { syncDriver } from '../drivers/profile.ts';
import { listUnsynced } from '../pg/drivers.ts';
import { type Duty, forEach } from './duty.ts';

const EVERY_MS = 1000;
const BATCH = 500;
/** What is younger is still being done by the process that caused it. */
const GRACE_MS = 2000;

export function driversDuty(ctx: EngineContext): Duty {
  return {
    name: 'driver_synced',
    everyMs: EVERY_MS,
    async run(signal) {
      const ids = await listUnsynced(ctx.db, GRACE_MS, BATCH);
      return forEach(ids, signal, (id) => syncDriver(ctx, id));
    },
  };
}
