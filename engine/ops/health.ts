/**
 * The health of a deployment: every process puts what it measured for the alarms into Redis, and
 * whoever is asked puts it together.
 */
import { randomUUID } from 'node:crypto';
import type { EngineContext } from '../context.ts';
import { MAINTENANCE_LEASE, secondsWithoutLease } from '../pg/leases.ts';
import { keys } from '../redis/keys.ts';
import { ALARMS, NOBODY_RECONCILES, type Reading } from './alarms.ts';
import { createWindow } from './window.ts';

/** As often as people look at a console; three of them missed, and a process is gone. */
const SAMPLE_MS = 5000;
const GONE_MS = 3 * SAMPLE_MS;

export interface AlarmState {
  name: string;
  /** Null while nobody measures it. */
  value: number | null;
  limit: number;
  ok: boolean;
  what_to_do: string;
}

export interface Health {
  /** Every alarm, rung or not. */
  alarms(): Promise<AlarmState[]>;
  /** Measures and publishes now; by itself it does so every few seconds. */
  publish(): Promise<void>;
  close(): void;
}

interface Published {
  at: number;
  readings: Record<string, Reading>;
}

const METRICS = [...new Set(ALARMS.map(({ metric }) => metric))];

export function createHealth(ctx: EngineContext): Health {
  const { db, redis, metrics, log, now } = ctx;
  const id = randomUUID();
  const window = createWindow(metrics, METRICS);

  async function publish(): Promise<void> {
    await window.sample(performance.now());
    const readings = ALARMS.map((alarm) => [alarm.name, alarm.measure(window)] as const);
    const published: Published = { at: now(), readings: Object.fromEntries(readings) };
    await redis.hset(keys.vitals, id, JSON.stringify(published));
  }

  /** What the living processes measured; those that are gone are forgotten. */
  async function readAll(): Promise<Published[]> {
    const all = Object.entries(await redis.hgetall(keys.vitals)).map(
      ([process, text]) => ({ process, published: JSON.parse(text) as Published }) as const,
    );
    const [gone, alive] = [
      all.filter(({ published }) => published.at < now() - GONE_MS),
      all.filter(({ published }) => published.at >= now() - GONE_MS),
    ];
    if (gone.length > 0) await redis.hdel(keys.vitals, ...gone.map(({ process }) => process));
    return alive.map(({ published }) => published);
  }

  const timer = setInterval(() => {
    publish().catch((error: unknown) => log.warn({ err: error }, 'health not told to others'));
  }, SAMPLE_MS);
  timer.unref();

  return {
    publish,
    async alarms() {
      const [all, unled] = await Promise.all([
        readAll(),
        secondsWithoutLease(db, MAINTENANCE_LEASE),
      ]);
      const states = ALARMS.map((alarm) => {
        const readings = all.flatMap(({ readings: { [alarm.name]: reading } }) =>
          reading ? [reading] : [],
        );
        const value = alarm.combine(readings);
        return stateOf(alarm, value, value === null || value <= alarm.limit);
      });
      const led = unled !== null && unled <= NOBODY_RECONCILES.limit;
      return [...states, stateOf(NOBODY_RECONCILES, unled, led)];
    },
    close: () => clearInterval(timer),
  };
}

function stateOf(
  { name, limit, whatToDo }: { name: string; limit: number; whatToDo: string },
  value: number | null,
  ok: boolean,
): AlarmState {
  return { name, value, limit, ok, what_to_do: whatToDo };
}
