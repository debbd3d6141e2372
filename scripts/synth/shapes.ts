/**
 * When jobs come: the four shapes of a made-up burst, as rates around their mean. Pure; a shape is
 * sampled on a grid and jobs are spread evenly under it, so that the same flags make the same
 * moments, and each second holds as many jobs as the shape says.
 */
export type Shape = 'flat' | 'ramp' | 'burst' | 'wave';
export const SHAPES: readonly [Shape, ...Shape[]] = ['flat', 'ramp', 'burst', 'wave'];

/** A ramp begins at a tenth of the mean and ends at nineteen tenths. */
const RAMP_FROM = 0.1;
/** Peaks are six times the usual rate, a twelfth of the run long, and begin here. */
const PEAK = 6;
const PEAK_SHARE = 1 / 12;
const PEAKS_AT = [0.3, 0.7];
/** A wave swings by 60 % of the mean, once in five minutes. */
const SWING = 0.6;
const SWING_MS = 5 * 60_000;
/** Points of the grid; a peak has a hundred. */
const GRID = 1200;

/** The rate at `share` of the run, relative to the mean. */
export function relativeRate(shape: Shape, share: number, durationMs: number): number {
  if (shape === 'ramp') return RAMP_FROM + 2 * (1 - RAMP_FROM) * share;
  if (shape === 'burst') {
    const usual = 1 / (1 + PEAKS_AT.length * PEAK_SHARE * (PEAK - 1));
    const inPeak = PEAKS_AT.some((at) => share >= at && share < at + PEAK_SHARE);
    return inPeak ? usual * PEAK : usual;
  }
  if (shape === 'wave') {
    const swings = Math.max(1, Math.round(durationMs / SWING_MS));
    return 1 + SWING * Math.sin(2 * Math.PI * swings * share);
  }
  return 1;
}

/** The moments of `count` jobs, in order; `random` moves each within its own share of the run. */
export function* momentsOf(
  shape: Shape,
  count: number,
  durationMs: number,
  random: () => number,
): Generator<number> {
  const cumulative = new Float64Array(GRID + 1);
  for (let i = 0; i < GRID; i++) {
    const rate = relativeRate(shape, (i + 0.5) / GRID, durationMs);
    cumulative[i + 1] = (cumulative[i] ?? 0) + rate;
  }
  const total = cumulative[GRID] ?? 1;
  let cell = 0;
  for (let job = 0; job < count; job++) {
    const target = ((job + random()) / count) * total;
    while (cell < GRID - 1 && (cumulative[cell + 1] ?? 0) <= target) cell += 1;
    const [from = 0, to = 1] = [cumulative[cell], cumulative[cell + 1]];
    yield ((cell + (target - from) / (to - from)) / GRID) * durationMs;
  }
}
