/**
 * When to connect again: full jitter, so that a thousand phones that lost one gateway do not come
 * back in step. The attempt counter forgets only after a connection has been healthy for a while,
 * or a server that accepts and drops would be hammered. One per connection.
 */
const BASE_MS = 500;
const CEILING_MS = 20_000;
/** Contract section 5 leaves it to the client; 30 s is longer than any paced drain of a gateway. */
export const HEALTHY_MS = 30_000;

export interface Backoff {
  /** The wait before the next attempt, in milliseconds. */
  nextMs(): number;
  /** Call when a connection ended, with how long it had been live. */
  lasted(liveMs: number): void;
}

export function createBackoff(random: () => number = Math.random): Backoff {
  let attempts = 0;
  return {
    nextMs() {
      const waitMs = jitterMs(attempts, random);
      attempts += 1;
      return waitMs;
    },
    lasted(liveMs) {
      if (liveMs >= HEALTHY_MS) attempts = 0;
    },
  };
}

/** `rand(0, min(20 s, 500 ms · 2^n))`. */
export function jitterMs(attempt: number, random: () => number = Math.random): number {
  return random() * Math.min(CEILING_MS, BASE_MS * 2 ** attempt);
}
