/**
 * A run in short pieces of time, for the chart and for `compare`: what was offered and achieved, how
 * long it took, what went wrong. Computed from the ledger; each job counts when it was due.
 */
import type { Ledger } from './ledger.ts';
import { stateOf, tapState } from './life.ts';
import { type PercentileName, percentileOf } from './stats.ts';
import { eachTime, type Samples, type TimeName } from './times.ts';

export interface Moment {
  /** Seconds from the start of the play. */
  t_s: number;
  /** Jobs that were due, and posts that were answered, a second. */
  offered: number;
  achieved: number;
  /** Percentiles of post → first socket; the slowest where a piece has fewer than 100 jobs. */
  p50: number | null;
  p99: number | null;
  /** Posts and taps that were refused for good or not answered, a second. */
  errors: number;
}

export interface Series {
  /** How long a piece is. */
  every_s: number;
  moments: Moment[];
}

/** A page shows no more; longer runs have longer pieces. */
const MOMENTS_MAX = 240;

export function seriesOf(ledger: Ledger, samples: Samples, startMs: number, endMs: number): Series {
  const lengthS = Math.max(1, (endMs - startMs) / 1000);
  const everyS = Math.max(1, Math.ceil(lengthS / MOMENTS_MAX));
  const pieces = Array.from({ length: Math.ceil(lengthS / everyS) }, () => ({
    offered: 0,
    achieved: 0,
    errors: 0,
    ms: [] as number[],
  }));
  const at = (ms: number) => {
    const found = Math.floor((ms - startMs) / 1000 / everyS);
    return pieces[Math.min(pieces.length - 1, Math.max(0, found))];
  };
  const count = (ms: number, what: 'offered' | 'achieved' | 'errors'): void => {
    const piece = at(ms);
    if (piece) piece[what] += 1;
  };
  for (const life of ledger.jobs) {
    count(life.dueMs, 'offered');
    const state = stateOf(life);
    if (life.answeredMs !== null && life.postCode === null) count(life.answeredMs, 'achieved');
    if (state === 'refused' || state === 'unanswered') count(life.dueMs, 'errors');
    for (const tap of life.taps) if (tapState(tap) === 'unanswered') count(tap.dueMs, 'errors');
  }
  for (const { dueMs, ms } of samples.post_to_first_socket) at(dueMs)?.ms.push(ms);
  const moments = pieces.map(({ offered, achieved, errors, ms }, i) => {
    const sorted = Float64Array.from(ms).sort();
    const [p50, p99] = [percentileOf(sorted, 50), percentileOf(sorted, 99)];
    const rate = (n: number): number => Math.round((n / everyS) * 10) / 10;
    const rates = { offered: rate(offered), achieved: rate(achieved), errors: rate(errors) };
    return { t_s: i * everyS, ...rates, p50, p99 };
  });
  return { every_s: everyS, moments };
}

/** A part of a run: its percentiles, where it has enough samples for them. */
export type Slice = Record<TimeName, Record<'p50' | 'p95' | 'p99', number | null>>;

/** Parts of a run to compute its spread from; more would leave too few jobs in each. */
const SLICES = 10;
const SLICE_MIN: Record<'p50' | 'p95' | 'p99', number> = { p50: 10, p95: 20, p99: 100 };

/** The run cut into parts of equally many jobs, in their order. */
export function slicesOf(samples: Samples, jobs: number): Slice[] {
  return Array.from({ length: SLICES }, (_, slice) =>
    eachTime((name) => {
      const mine = samples[name].filter(({ job }) => Math.floor((job / jobs) * SLICES) === slice);
      const sorted = Float64Array.from(mine, ({ ms }) => ms).sort();
      const of = (stat: 'p50' | 'p95' | 'p99', share: number): number | null =>
        sorted.length < SLICE_MIN[stat] ? null : percentileOf(sorted, share);
      return { p50: of('p50', 50), p95: of('p95', 95), p99: of('p99', 99) };
    }),
  );
}

export type SliceStat = keyof typeof SLICE_MIN & PercentileName;
