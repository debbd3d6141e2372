/**
 * How often one user may call: a token bucket per user in this process, for drivers and customers.
 * It protects the process from one broken app; it is no quota, so that processes need not agree.
 */
import { ApiError } from './errors.ts';

/** Contract section 4: who stays below this is never refused. */
const CALLS_PER_S = 200;
/** A second's worth on top: the calls of two seconds may meet at their border. */
const BURST = 2 * CALLS_PER_S;
/** About 10 MB; who called longest ago is forgotten, which only gives him a full bucket. */
const USERS_MAX = 50_000;

interface Bucket {
  left: number;
  at: number;
}

export interface RateLimit {
  /** Counts a call at `now` (ms). Throws `rate_limited` when it is one too many. */
  take(user: string, now: number): void;
}

export function createRateLimit(): RateLimit {
  const buckets = new Map<string, Bucket>();
  return {
    take(user, now) {
      const bucket = buckets.get(user) ?? { left: BURST, at: now };
      const earned = (Math.max(0, now - bucket.at) / 1000) * CALLS_PER_S;
      bucket.left = Math.min(BURST, bucket.left + earned);
      bucket.at = now;
      // Set again: the map's order is then the order of the last calls.
      buckets.delete(user);
      buckets.set(user, bucket);
      if (buckets.size > USERS_MAX) forgetOldest(buckets);
      if (bucket.left < 1) {
        const retryAfterMs = Math.ceil(((1 - bucket.left) / CALLS_PER_S) * 1000);
        throw new ApiError('rate_limited', { retryAfterMs });
      }
      bucket.left--;
    },
  };
}

function forgetOldest(buckets: Map<string, Bucket>): void {
  const [oldest] = buckets.keys();
  if (oldest !== undefined) buckets.delete(oldest);
}
