/** Whether a driver may take jobs, asked once for a burst of taps. */
import type { EngineContext } from '../context.ts';
import { findDriver } from '../pg/drivers.ts';
import { knowDriver } from './profile.ts';

/** A burst of taps by one driver asks once whether he is approved. */
const APPROVED_MS = 1000;
/** About 5 MB; beyond it all are asked again. */
const APPROVED_MAX = 50_000;

interface Approvals {
  /** When each was found to be approved. */
  approvedAt: Map<string, number>;
  asking: Map<string, Promise<boolean>>;
}

/** One for each engine: whoever hears of a change knows the engine, not its claims. */
const approvalsOf = new WeakMap<EngineContext, Approvals>();

function rememberedBy(ctx: EngineContext): Approvals {
  let approvals = approvalsOf.get(ctx);
  if (!approvals) {
    approvals = { approvedAt: new Map(), asking: new Map() };
    approvalsOf.set(ctx, approvals);
  }
  return approvals;
}

/** The driver has changed: what was known of him, or is being asked, says nothing any more. */
export function forgetApproval(ctx: EngineContext, driverId: string): void {
  const { approvedAt, asking } = rememberedBy(ctx);
  approvedAt.delete(driverId);
  asking.delete(driverId);
}

/**
 * Is a driver approved? A yes is remembered for a moment, until a change of his is heard of, since
 * the commit asks the row again; a no is asked anew each time, so that it ends when the operator
 * approves him.
 */
export function createApprovals(
  ctx: EngineContext,
): (driverId: string) => boolean | Promise<boolean> {
  const { approvedAt, asking } = rememberedBy(ctx);

  /** Redis may not have heard yet that he is: a no is asked of his row. */
  async function isNow(driverId: string): Promise<boolean> {
    if ((await knowDriver(ctx, driverId))?.approved) return true;
    return (await findDriver(ctx.db, driverId))?.approvalStatus === 'approved';
  }

  function ask(driverId: string): Promise<boolean> {
    const answer = isNow(driverId)
      .then((approved) => {
        if (!approved) return false;
        if (approvedAt.size >= APPROVED_MAX) approvedAt.clear();
        if (asking.get(driverId) === answer) approvedAt.set(driverId, ctx.now());
        return true;
      })
      .finally(() => {
        if (asking.get(driverId) === answer) asking.delete(driverId);
      });
    asking.set(driverId, answer);
    return answer;
  }

  return (driverId) => {
    if (ctx.now() - (approvedAt.get(driverId) ?? 0) < APPROVED_MS) return true;
    return asking.get(driverId) ?? ask(driverId);
  };
}
