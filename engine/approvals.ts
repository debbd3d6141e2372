/** Whether a driver may take jobs, asked once for a burst of taps. */
import type { EngineContext } from './context.ts';
import { knowDriver } from './drivers.ts';
import { findDriver } from './pg/drivers.ts';

/** A burst of taps by one driver asks once whether he is approved. */
const APPROVED_MS = 1000;
/** About 5 MB; beyond it all are asked again. */
const APPROVED_MAX = 50_000;

/**
 * Is a driver approved? A yes is remembered for a moment, since the commit asks the row again; a
 * no is asked anew each time, so that it ends when the operator approves him.
 */
export function createApprovals(
  ctx: EngineContext,
): (driverId: string) => boolean | Promise<boolean> {
  const approvedAt = new Map<string, number>();
  const asking = new Map<string, Promise<boolean>>();

  async function ask(driverId: string): Promise<boolean> {
    const driver = await knowDriver(ctx, driverId);
    // Redis may not have heard yet that he is.
    if (!driver?.approved && (await findDriver(ctx.db, driverId))?.approvalStatus !== 'approved') {
      return false;
    }
    if (approvedAt.size >= APPROVED_MAX) approvedAt.clear();
    approvedAt.set(driverId, ctx.now());
    return true;
  }

  return (driverId) => {
    if (ctx.now() - (approvedAt.get(driverId) ?? 0) < APPROVED_MS) return true;
    let answer = asking.get(driverId);
    if (!answer) {
      answer = ask(driverId).finally(() => asking.delete(driverId));
      asking.set(driverId, answer);
    }
    return answer;
  };
}
