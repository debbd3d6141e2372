/**
 * Limits how much one user may ask for, by a token bucket per user in this process. It protects the
 * process from a broken app and is no quota, so processes need not agree. Used by the guard for calls
 * and by the gateway for upgrades.
 */

/** Contract section 4: up to this many ordinary calls a second are never refused. */
const CALLS_PER_S = 200;
/** Contract section 5: connections that one user may open in a second. */
const UPGRADES_PER_S = 10;
/** About 10 MB; the user who called longest ago is forgotten, which only gives him a full bucket. */
const USERS_MAX = 50_000;

interface Bucket {
  left: number;
  at: number;
}

export interface RateLimit {
  /**
   * Counts a call at `now` (ms). Returns 0, or after how many milliseconds to try again when it is one too
   * many. A call that reads a page of rows or a driver's counters keeps the process, or Postgres, busy for
   * longer than ordinary ones: so many a second as of those, but half as many at once.
   */
  take(user: string, now: number, isExpensive?: boolean): number;
}

/** A second's worth on top, since the calls of two seconds may meet at their border. */
export const limitCalls = () => createRateLimit(CALLS_PER_S, 2 * CALLS_PER_S);
export const limitUpgrades = () => createRateLimit(UPGRADES_PER_S, UPGRADES_PER_S);

function createRateLimit(perS: number, burst: number): RateLimit {
  const buckets = new Map<string, Bucket>();
  return {
    take(user, now, isExpensive = false) {
      const bucket = buckets.get(user) ?? { left: burst, at: now };
      const earned = (Math.max(0, now - bucket.at) / 1000) * perS;
      bucket.left = Math.min(burst, bucket.left + earned);
      bucket.at = now;
      // Deleted and set again, so that the map's order is that of the last calls.
      buckets.delete(user);
      buckets.set(user, bucket);
      if (buckets.size > USERS_MAX) forgetOldest(buckets);
      const needed = 1 + (isExpensive ? burst / 2 : 0);
      if (bucket.left < needed) return Math.ceil(((needed - bucket.left) / perS) * 1000);
      bucket.left--;
      return 0;
    },
  };
}

function forgetOldest(buckets: Map<string, Bucket>): void {
  const [oldest] = buckets.keys();
  if (oldest !== undefined) buckets.delete(oldest);
}
