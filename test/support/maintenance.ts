/** Maintenance as a worker starts it, and turns that a test asks for. */
import type { EngineContext } from '../../engine/context.ts';
import type { JobRow } from '../../engine/domain/job.ts';
import { createMaintenance } from '../../engine/maintenance/maintenance.ts';
import { findJob } from '../../engine/pg/jobs.ts';
import { markSettled } from '../../engine/pg/work-lists.ts';
import { tell } from '../../engine/projection/tell.ts';

export interface TestMaintenance {
  /** One turn of every duty, whoever leads. */
  tick(): Promise<void>;
  close(): Promise<void>;
}

/** Contends for the lease like a worker; `ctx` may count or reach the stores otherwise than the engine's. */
export function startMaintenance(
  t: { ctx: EngineContext; databaseUrl: string },
  ctx = t.ctx,
): TestMaintenance {
  const leader = createMaintenance(ctx, t.databaseUrl).start();
  return { tick: () => leader.runAll(), close: () => leader.close() };
}

/** Settles a row at once, as the settler does: put, told, marked. Throws where it would try again. */
export async function settleNow(ctx: EngineContext, row: JobRow): Promise<void> {
  await ctx.projection.put(row);
  await tell(ctx, [row]);
  await markSettled(ctx.db, [row]);
}

/** Resolves when the job's row is settled. */
export async function isSettled(ctx: EngineContext, id: string): Promise<boolean> {
  const row = await findJob(ctx.db, id);
  return row !== null && row.settledVersion === row.version;
}
