/**
 * The time of Redis, as this process knows it: measured on the ordinary connection and carried on by the
 * process's monotonic clock. Scripts stamp what they write with `TIME`; this process compares those times
 * by this clock, so the wall clocks of hosts do not matter.
 */
import type { RedisClient } from './client.ts';

export interface RedisClock {
  /** Epoch ms by Redis's clock, at most half the best round trip off. */
  now(): number;
  /** Asks Redis now; rejects when it does not answer, and the last measurement stands. */
  measure(): Promise<void>;
  close(): void;
}

/** Two clocks drift apart by less than a millisecond in this time. */
const EVERY_MS = 5000;

/** `elapsed`: a monotonic clock of this process, ms. */
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
 * How far Redis is ahead of this process's clock, after one more measurement. Redis read its time between
 * `sent` and `received`: a slow answer says little, and moves the known value only as far as it must.
 */
export function offsetAfter(
  before: number | null,
  { sent, received, time }: { sent: number; received: number; time: number },
): number {
  const [least, most] = [time - received, time - sent];
  return before === null ? (least + most) / 2 : Math.min(Math.max(before, least), most);
}
