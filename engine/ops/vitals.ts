/**
 * What the processes of a deployment measured: each puts its own values into Redis every few seconds,
 * and the process that is asked reads those of all.
 */
import { randomUUID } from 'node:crypto';
import type { Resources } from '../context.ts';
import { keys } from '../redis/keys.ts';
import type { Measured, Reading } from './measured.ts';
import { createWindow } from './window.ts';

/** As often as people look at a console; a process that misses three is gone. */
const SAMPLE_MS = 5000;
const GONE_MS = 3 * SAMPLE_MS;

/** What one process measured. */
export interface Vitals {
  at: number;
  /** By the name of the measured value. */
  readings: Record<string, Reading>;
}

export interface Publisher {
  /** Measures and publishes now; it also does so by itself every few seconds. */
  publish(): Promise<void>;
  close(): void;
}

export function publishVitals(
  { redis, metrics, log, now }: Resources,
  measured: readonly (Measured & { name: string })[],
): Publisher {
  const id = randomUUID();
  const window = createWindow(metrics, [...new Set(measured.map(({ metric }) => metric))]);

  async function publish(): Promise<void> {
    await window.sample(performance.now());
    const readings = measured.map((one) => [one.name, one.measure(window)] as const);
    const vitals: Vitals = { at: now(), readings: Object.fromEntries(readings) };
    await redis.hset(keys.vitals, id, JSON.stringify(vitals));
  }

  const timer = setInterval(() => {
    publish().catch((error: unknown) => log.warn({ err: error }, 'health not published'));
  }, SAMPLE_MS);
  timer.unref();
  return { publish, close: () => clearInterval(timer) };
}

/** What the living processes measured; those that are gone are removed. */
export async function readVitals({
  redis,
  now,
}: Pick<Resources, 'redis' | 'now'>): Promise<Vitals[]> {
  const all = Object.entries(await redis.hgetall(keys.vitals)).map(
    ([process, text]) => ({ process, vitals: JSON.parse(text) as Vitals }) as const,
  );
  const isGone = ({ vitals }: (typeof all)[number]) => vitals.at < now() - GONE_MS;
  const gone = all.filter(isGone);
  if (gone.length > 0) await redis.hdel(keys.vitals, ...gone.map(({ process }) => process));
  return all.filter((one) => !isGone(one)).map(({ vitals }) => vitals);
}

/** One value from what all processes measured; null where none did. */
export function combined(
  { name, combine }: Pick<Measured, 'combine'> & { name: string },
  all: readonly Vitals[],
): number | null {
  return combine(all.flatMap(({ readings: { [name]: reading } }) => (reading ? [reading] : [])));
}
