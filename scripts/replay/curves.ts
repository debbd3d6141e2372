/** The percentile curve of each time, as far out as the samples reach. */
import { percentileOf, SAMPLES_MIN } from './stats.ts';
import { eachTime, type Samples, type TimeName } from './times.ts';

export interface CurvePoint {
  /** Per cent. */
  q: number;
  ms: number;
}

const POINTS = [...[0, 10, 25, 50, 75, 90, 95, 97.5, 99, 99.5, 99.75, 99.9, 99.95, 99.975, 99.99]];

export function curvesOf(samples: Samples): Record<TimeName, CurvePoint[]> {
  return eachTime((name) => {
    const sorted = Float64Array.from(samples[name], ({ ms }) => ms).sort();
    if (sorted.length < SAMPLES_MIN) return [];
    return POINTS.filter((q) => ((100 - q) / 100) * sorted.length >= 1).flatMap((q) => {
      const ms = percentileOf(sorted, q === 0 ? 1e-6 : q);
      return ms === null ? [] : [{ q, ms }];
    });
  });
}
