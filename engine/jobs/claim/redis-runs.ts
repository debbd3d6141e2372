/**
 * Whether Redis was replaced a moment ago. Then another process may still bring changes to the Redis before
 * it, and take them for known, while its connection lasts: what the new one refuses may be of the past.
 */
import { type RedisClient, runIdOf } from '../../redis/client.ts';

/** By then every process has heard of a failover. */
const REPLACED_MS = 10_000;

export class RedisRuns {
  readonly #redis: RedisClient;
  #run: string | null;
  #replacedAt = Number.NEGATIVE_INFINITY;

  constructor(redis: RedisClient) {
    this.#redis = redis;
    this.#run = this.#current();
  }

  /** Is a refusal of Redis to be trusted? False for a while after the first that came from another run. */
  areSettled(now: number): boolean {
    const run = this.#current();
    if (run !== null && run !== this.#run) {
      if (this.#run !== null) this.#replacedAt = now;
      this.#run = run;
    }
    return now - this.#replacedAt >= REPLACED_MS;
  }

  #current(): string | null {
    try {
      return runIdOf(this.#redis);
    } catch {
      return null;
    }
  }
}
