/** Drops what is older than `RETENTION_DAYS`: when a leader begins, and every hour. */
import type { EngineContext } from '../context.ts';
import { dropOld } from '../history/retention.ts';
import type { Duty } from './duty.ts';

const EVERY_MS = 3_600_000;

export function retentionDuty(ctx: EngineContext): Duty {
  return {
    name: 'old_dropped',
    everyMs: EVERY_MS,
    repairs: false,
    async run(signal) {
      const dropped = await dropOld(ctx, signal);
      const { jobs = 0 } = dropped;
      if (Object.values(dropped).some((count) => count > 0)) {
        ctx.log.info({ dropped, retentionDays: ctx.settings.retentionDays }, 'old rows dropped');
      }
      return jobs;
    },
  };
}
