/** Whether a driver may take jobs, asked once for a burst of taps. */

/** For this long a yes is remembered: a burst of taps by one driver asks once. */
const APPROVED_MS = 1000;
/** About 5 MB; beyond it all are forgotten and asked again. */
const APPROVED_MAX = 50_000;

export interface Approvals {
  /**
   * Is a driver approved? A yes is remembered for a moment, or until he changes, since the commit
   * checks the row again. A no is never remembered, so that it ends when an operator approves
   * him.
   */
  isApproved(driverId: string): boolean | Promise<boolean>;
  /** The driver has changed: forgets what is known of him or is being asked. */
  forget(driverId: string): void;
}

/** `ask` finds out whether a driver is approved now. */
export function createApprovals(parts: {
  ask(driverId: string): Promise<boolean>;
  elapsed(): number;
}): Approvals {
  /** Driver → when he was found to be approved. */
  const approvedAt = new Map<string, number>();
  const asking = new Map<string, Promise<boolean>>();

  function ask(driverId: string): Promise<boolean> {
    const answer = parts
      .ask(driverId)
      .then((approved) => {
        if (!approved) return false;
        if (approvedAt.size >= APPROVED_MAX) approvedAt.clear();
        if (asking.get(driverId) === answer) approvedAt.set(driverId, parts.elapsed());
        return true;
      })
      .finally(() => {
        if (asking.get(driverId) === answer) asking.delete(driverId);
      });
    asking.set(driverId, answer);
    return answer;
  }

  return {
    isApproved(driverId) {
      if (parts.elapsed() - (approvedAt.get(driverId) ?? Number.NEGATIVE_INFINITY) < APPROVED_MS)
        return true;
      return asking.get(driverId) ?? ask(driverId);
    },
    forget(driverId) {
      approvedAt.delete(driverId);
      asking.delete(driverId);
    },
  };
}
