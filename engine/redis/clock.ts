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
  let measured: number | null = null;
  const assumed = Date.now() - elapsed();

  async function measure(): Promise<void> {
    const sent = elapsed();
    const [seconds, micros] = await redis.time();
    const time = Number(seconds) * 1000 + Number(micros) / 1000;
    measured = offsetAfter(measured, { sent, received: elapsed(), time });
  }

  const tryMeasure = () => void measure().catch(() => {});
  const timer = setInterval(tryMeasure, EVERY_MS);
  timer.unref();
  // It may be another server, with a clock of its own.
  redis.on('ready', tryMeasure);
  return {
    now: () => Math.floor(elapsed() + (measured ?? assumed)),
    measure,
    close() {
      clearInterval(timer);
      redis.off('ready', tryMeasure);
    },
  };
}

/**
 * How far Redis is ahead of this process's clock, after one more question. Its time was read somewhere
 * between `sent` and `received`: a slow answer says little, and moves what was known before only as far
 * as it must.
 */
export function offsetAfter(
  before: number | null,
  { sent, received, time }: { sent: number; received: number; time: number },
): number {
  const [least, most] = [time - received, time - sent];
  return before === null ? (least + most) / 2 : Math.min(Math.max(before, least), most);
}
