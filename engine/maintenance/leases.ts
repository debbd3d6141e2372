/**
 * Resolves claims that outlived their lease: their process died, or Postgres did not answer it. If the row
 * is still open, the fence waits for a commit in flight and shuts out a late one; a committed claim is
 * settled as it is. Only zones with open jobs are searched, since only an open job can be claimed.
 */
import type { EngineContext } from '../context.ts';
import { isClaimable } from '../domain/job.ts';
import { publish } from '../jobs/change.ts';
import { fenceJob } from '../jobs/claim/resolve.ts';
import { findJob } from '../pg/jobs.ts';
import { listOpenZones } from '../pg/work-lists.ts';
import { listEndedLeases } from '../redis/job-scripts.ts';
import { type Duty, forEach } from './duty.ts';

const EVERY_MS = 1000;
/** Most claims of one zone in one turn. */
const BATCH = 200;

export function leasesDuty(ctx: EngineContext): Duty {
  return {
    name: 'lease_ended',
    everyMs: EVERY_MS,
    async run(signal) {
      const zones = await listOpenZones(ctx.db);
      const ids = await listEndedLeases(ctx.redis, zones, BATCH);
      return forEach(ids, signal, (id) => endLease(ctx, id));
    },
  };
}

async function endLease(ctx: EngineContext, id: string): Promise<void> {
  const row = await findJob(ctx.db, id);
  if (!row) return;
  const fenced = isClaimable(row.status)
    ? await fenceJob(ctx, row, 'a claim outlived its lease')
    : null;
  const now = fenced ?? (await findJob(ctx.db, id)) ?? row;
  await publish(ctx, now);
}
