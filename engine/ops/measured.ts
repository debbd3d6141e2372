/**
 * Values that every process measures and that are combined into one, for the alarms and the charts beside
 * them.
 */
import type { Window } from './window.ts';

/** What one process measured. */
export type Reading = Readonly<Record<string, number>>;

export interface Measured {
  /** The metric it is measured by. */
  metric: string;
  /** The part of this process; empty where it has none. */
  measure(window: Window): Reading;
  /** One value from what all processes measured; null where none did. */
  combine(readings: readonly Reading[]): number | null;
}

type Labels = Readonly<Record<string, string | undefined>>;

/** How often a second, over all processes together. */
export function rateOf(
  metric: string,
  seconds: number,
  of?: (labels: Labels) => boolean,
): Measured {
  return {
    metric,
    measure(window) {
      const increase = window.increase(metric, seconds, of);
      return reading(increase === null ? null : increase / seconds);
    },
    combine: total,
  };
}

/** The highest value that any process sees now. */
export function gaugeOf(metric: string, of?: (labels: Labels) => boolean): Measured {
  return { metric, measure: (window) => reading(window.now(metric, of)), combine: highest };
}

export function reading(value: number | null): Reading {
  return value === null ? {} : { value };
}

const valuesOf = (readings: readonly Reading[]) => readings.flatMap(({ value }) => value ?? []);

export function total(readings: readonly Reading[]): number | null {
  const values = valuesOf(readings);
  return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0);
}

export function highest(readings: readonly Reading[]): number | null {
  const values = valuesOf(readings);
  return values.length === 0 ? null : Math.max(...values);
}

/** A quantile of what all processes observed in the last seconds. */
export function quantileOf(q: number, metric: string, seconds: number): Measured {
  return {
    metric,
    measure: (window) => window.buckets(metric, seconds),
    combine: (readings) => quantile(q, readings),
  };
}

/** The upper bound of the bucket in which the quantile lies; null when nothing was observed. */
function quantile(q: number, readings: readonly Reading[]): number | null {
  const counts = new Map<number, number>();
  for (const one of readings) {
    for (const [bound, count] of Object.entries(one)) {
      counts.set(Number(bound), (counts.get(Number(bound)) ?? 0) + count);
    }
  }
  const bounds = [...counts].sort(([a], [b]) => a - b);
  const all = bounds.at(-1)?.[1] ?? 0;
  if (all === 0) return null;
  // Above the last bound nothing more is known.
  const finite = bounds.filter(([bound]) => Number.isFinite(bound));
  return (finite.find(([, count]) => count >= q * all) ?? finite.at(-1))?.[0] ?? null;
}
