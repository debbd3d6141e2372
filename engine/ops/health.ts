/** The health of a deployment: its alarms now, and the last quarter of an hour. */
import type { EngineContext } from '../context.ts';
import { MAINTENANCE_LEASE, secondsWithoutLease } from '../pg/leases.ts';
import { ALARMS, NO_WORKER_REPORTS } from './alarms.ts';
import { MEASURED_LINES } from './charts.ts';
import { type Point, readPulse } from './pulse.ts';
import { combined, publishVitals, readVitals } from './vitals.ts';

export interface AlarmState {
  name: string;
  /** Null while nobody measures it. */
  value: number | null;
  limit: number;
  ok: boolean;
  what_to_do: string;
}

export interface Health {
  /** Every alarm, ringing or not. */
  alarms(): Promise<AlarmState[]>;
  /** Points of the charts, oldest first. */
  history(): Promise<Point[]>;
  /** Measures and publishes now; it also does so by itself every few seconds. */
  publish(): Promise<void>;
  close(): void;
}

export function createHealth(ctx: EngineContext): Health {
  const { publish, close } = publishVitals(ctx, [...ALARMS, ...MEASURED_LINES]);
  return {
    publish,
    close,
    history: () => readPulse(ctx),
    async alarms() {
      const [vitals, unled] = await Promise.all([
        readVitals(ctx),
        secondsWithoutLease(ctx.db, MAINTENANCE_LEASE),
      ]);
      const states = ALARMS.map((alarm) => {
        const value = combined(alarm, vitals);
        return stateOf(alarm, value, value === null || value <= alarm.limit);
      });
      const led = unled !== null && unled <= NO_WORKER_REPORTS.limit;
      return [...states, stateOf(NO_WORKER_REPORTS, unled, led)];
    },
  };
}

function stateOf(
  { name, limit, whatToDo }: { name: string; limit: number; whatToDo: string },
  value: number | null,
  ok: boolean,
): AlarmState {
  return { name, value, limit, ok, what_to_do: whatToDo };
}
