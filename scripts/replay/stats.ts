/** How measured times are summed up: nearest-rank percentiles, milliseconds to a tenth. */
export interface Spread {
  count: number;
  p50: number | null;
  p95: number | null;
  p99: number | null;
  p99_9: number | null;
  max: number | null;
}

export const PERCENTILES = { p50: 50, p95: 95, p99: 99, p99_9: 99.9 } as const;
export type PercentileName = keyof typeof PERCENTILES;

/** With fewer samples a percentile would claim too much. */
export const SAMPLES_MIN = 100;

/** Null where nothing was measured, percentiles also where too little was. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = Float64Array.from(values).sort();
  const at = (share: number): number | null =>
    sorted.length < SAMPLES_MIN ? null : percentileOf(sorted, share);
  return {
    count: sorted.length,
    p50: at(PERCENTILES.p50),
    p95: at(PERCENTILES.p95),
    p99: at(PERCENTILES.p99),
    p99_9: at(PERCENTILES.p99_9),
    max: percentileOf(sorted, 100),
  };
}

/** The smallest value that at least `share` per cent of all do not exceed; null of none. */
export function percentileOf(sorted: Float64Array, share: number): number | null {
  const value = sorted[rankOf(share, sorted.length) - 1];
  return value === undefined ? null : Math.round(value * 10) / 10;
}

/** The rank of a percentile: at least this many of `count` values must not exceed it. */
export function rankOf(share: number, count: number): number {
  // 99.9 / 100 * 1000 is a hair above 999 in floating point.
  return Math.ceil((share / 100) * count - 1e-9);
}

export function medianOf(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}
