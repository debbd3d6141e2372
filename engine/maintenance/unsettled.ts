/** Wakes the settler for changes that nobody has settled for a while: their process died, or gave up. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineContext } from '../context.ts';
import { listUnsettled } from '../pg/work-lists.ts';
import type { Duty } from './duty.ts';

const EVERY_MS = 1000;
/** Younger changes are still in the hands of the process that made them. */
const GRACE_MS = 2000;
const BATCH = 1000;
/** With constant changes the settler is never idle, and what it dropped must still be found. */
const WAIT_MAX_MS = 2000;

export function unsettledDuty({ db, settler }: EngineContext): Duty {
  return {
    name: 'job_settled',
    everyMs: EVERY_MS,
    async run() {
      const rows = await listUnsettled(db, GRACE_MS, BATCH);
      for (const { id } of rows) settler.wake(id);
      await Promise.race([settler.idle(), sleep(WAIT_MAX_MS, undefined, { ref: false })]);
      return rows.length;
    },
  };
}
