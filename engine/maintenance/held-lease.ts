/**
 * The lease of the one process that does the duties, as its holder sees it: until when it is certainly ours,
 * by this process's own clock.
 */
import { randomUUID } from 'node:crypto';
import { withDeadline } from '../context.ts';
import type { Db } from '../pg/client.ts';
import { dropLease, MAINTENANCE_LEASE, takeLease } from '../pg/leases.ts';

export interface HeldLease {
  /** As of the last `renew`. */
  isHeld(): boolean;
  /** How much longer it is certainly ours, ms; 0 when it is not. */
  leftMs(): number;
  /** Takes or renews it. Throws when Postgres does not answer before it would end. */
  renew(): Promise<void>;
  /** Gives it back, so that a successor need not wait. Never throws: the lease ends by itself. */
  drop(deadlineMs: number): Promise<void>;
}

const late = () => new Error('Postgres does not answer');

export function createLease(db: Db, leaseMs: number): HeldLease {
  const holder = randomUUID();
  /** By the monotonic clock; null when it is not ours. */
  let heldUntil: number | null = null;
  const leftMs = () => (heldUntil === null ? 0 : Math.max(0, heldUntil - performance.now()));

  return {
    isHeld: () => heldUntil !== null,
    leftMs,
    async renew() {
      const asked = performance.now();
      const deadline = heldUntil === null ? leaseMs : Math.max(1, leftMs());
      try {
        const held = await withDeadline(
          takeLease(db, MAINTENANCE_LEASE, holder, leaseMs),
          deadline,
          late,
        );
        // Taken before asking: Postgres began to count later.
        heldUntil = held ? asked + leaseMs : null;
      } catch (error) {
        if (leftMs() === 0) heldUntil = null;
        throw error;
      }
    },
    async drop(deadlineMs) {
      if (heldUntil === null) return;
      heldUntil = null;
      await withDeadline(dropLease(db, MAINTENANCE_LEASE, holder), deadlineMs, late).catch(
        () => {},
      );
    },
  };
}
