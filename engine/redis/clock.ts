/**
 * The time of Redis, as this process knows it: measured on the ordinary connection and carried on by the
 * process's monotonic clock. What scripts write is stamped with `TIME`; whatever is compared with it here
 * is compared by this clock, so the wall clocks of hosts may say what they like.
 */
import type { RedisClient } from './client.ts';

export interface RedisClock {
  /** Epoch ms by Redis's clock, at most half the best round trip off. */
  now(): number;
  /** Asks Redis now; rejects when it does not answer, then the last measurement stands. */
  measure(): Promise<void>;
  close(): void;
}

/** Two crystals drift apart by less than a millisecond in this time. */
const EVERY_MS = 5000;

/** `elapsed`: a clock of this process of which only differences count, ms. */
export function createRedisClock(redis: RedisClient, elapsed: () => number): RedisClock {
  let ahead = Date.now() - elapsed();
  let measured = false;

  async function measure(): Promise<void> {
    const sent = elapsed();
    const [seconds, micros] = await redis.time();
    const received = elapsed();
    const time = Number(seconds) * 1000 + Number(micros) / 1000;
    // It was read somewhere in between: a slow answer says little, and moves the clock little.
    const [least, most] = [time - received, time - sent];
    ahead = measured ? Math.min(Math.max(ahead, least), most) : (least + most) / 2;
    measured = true;
  }

  const tryMeasure = () => void measure().catch(() => {});
  const timer = setInterval(tryMeasure, EVERY_MS);
  timer.unref();
  // It may be another server, with a clock of its own.
  redis.on('ready', tryMeasure);
  return {
    now: () => Math.floor(elapsed() + ahead),
    measure,
    close() {
      clearInterval(timer);
      redis.off('ready', tryMeasure);
    },
  };
}
