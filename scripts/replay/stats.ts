/** How measured times are summed up: nearest-rank percentiles, milliseconds to a tenth. */
export interface Spread {
  count: number;
  p50: number | null;
  p95: number | null;
  p99: number | null;
  max: number | null;
}

/** Null where nothing was measured. */
export function spreadOf(values: readonly number[]): Spread {
  const sorted = Float64Array.from(values).sort();
  return {
    count: sorted.length,
    p50: percentile(sorted, 50),
    p95: percentile(sorted, 95),
    p99: percentile(sorted, 99),
    max: percentile(sorted, 100),
  };
}

/** The smallest value that at least `share` percent of all do not exceed. */
function percentile(sorted: Float64Array, share: number): number | null {
  const value = sorted[Math.ceil((share / 100) * sorted.length) - 1];
  return value === undefined ? null : Math.round(value * 10) / 10;
}

/** Counts of values below each bound of `bounds`, and of the rest in a last bucket. */
export function bucketsOf(values: readonly number[], bounds: readonly number[]): number[] {
  const counts = new Array<number>(bounds.length + 1).fill(0);
  for (const value of values) {
    const found = bounds.findIndex((bound) => value < bound);
    const bucket = found === -1 ? bounds.length : found;
    counts[bucket] = (counts[bucket] ?? 0) + 1;
  }
  return counts;
}
