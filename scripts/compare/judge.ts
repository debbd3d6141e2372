/**
 * Two runs side by side: which differences are more than the runs' own spread. Each run is cut into
 * ten parts of equally many jobs; the same part of both runs saw the same jobs, so what differs in
 * all parts alike is the build, and what differs from part to part is noise. Pure.
 */
import type { Report } from '../replay/report.ts';
import { medianOf } from '../replay/stats.ts';
import { TIME_NAMES, type TimeName } from '../replay/times.ts';

export type Stat = 'p50' | 'p95' | 'p99';
export const STATS: readonly Stat[] = ['p50', 'p95', 'p99'];

export interface Difference {
  time: TimeName;
  stat: Stat;
  a: number | null;
  b: number | null;
  /** How large the difference may be by chance, in milliseconds; null with too few samples. */
  noiseMs: number | null;
  verdict: 'same' | 'worse' | 'better' | 'unknown';
}

export interface Comparison {
  differences: Difference[];
  /** What got worse besides times, in one sentence each. */
  broken: string[];
  regressed: boolean;
}

/** The fewest parts from which a spread can be computed. */
const PARTS_MIN = 4;
/**
 * A difference within so many spreads of the parts counts as noise. Two dozen differences are judged at once:
 * within two spreads, one of them would be outside by chance in two comparisons of three; within three, in one
 * of sixteen.
 */
const SPREADS = 3;
/** The least noise, from timers and the scheduler, whatever the spread. */
const NOISE_MIN_MS = 1;
const NOISE_MIN_SHARE = 0.05;
/** Makes the median deviation comparable with a standard deviation. */
const MAD_TO_SIGMA = 1.4826;
/** More errors than before by over this share of all jobs are a regression. */
const ERROR_SHARE = 0.01;

/** `maxRegress` is a share: 0.1 lets every time be a tenth slower. */
export function compareRuns(a: Report, b: Report, maxRegress: number): Comparison {
  const differences = TIME_NAMES.flatMap((time) =>
    STATS.map((stat) => differenceOf(a, b, time, stat, maxRegress)),
  );
  const broken = whatBroke(a, b);
  const worse = differences.some(({ verdict }) => verdict === 'worse');
  return { differences, broken, regressed: worse || broken.length > 0 };
}

/** Why two runs cannot be compared; empty when they can. */
export function mismatchOf(a: Report, b: Report): string[] {
  const storms = (run: Report): string =>
    run.storms
      .map(({ at_s, share, sync }) => `${at_s}s:${share * 100}%${sync ? ':sync' : ''}`)
      .join(' ');
  const asked: [string, string | number, string | number][] = [
    ['traces', a.trace.sha256.slice(0, 12), b.trace.sha256.slice(0, 12)],
    ['seeds', a.seed, b.seed],
    ['speeds', a.speed, b.speed],
    ['arrivals', a.arrivals, b.arrivals],
    ['people', a.people, b.people],
    ['taps', a.taps_per_job, b.taps_per_job],
    ['phones', JSON.stringify(a.phones), JSON.stringify(b.phones)],
    ['storms', storms(a), storms(b)],
    ['warm-ups', a.warmup_s, b.warmup_s],
  ];
  const different = asked
    .filter(([, one, other]) => one !== other)
    .map(([what, one, other]) => `different ${what} (${one || 'none'}, ${other || 'none'})`);
  const unfit = [a, b].flatMap((run, i) => {
    const which = i === 0 ? 'the first' : 'the other';
    return [
      ...(run.void ? [`${which} is void`] : []),
      ...(run.partial ? [`${which} is partial`] : []),
    ];
  });
  return [...different, ...unfit];
}

function differenceOf(
  a: Report,
  b: Report,
  time: TimeName,
  stat: Stat,
  maxRegress: number,
): Difference {
  const [one, other] = [a.times[time][stat], b.times[time][stat]];
  const noiseMs = one === null || other === null ? null : noiseOf(a, b, time, stat, one);
  const found = { time, stat, a: one, b: other, noiseMs };
  if (one === null || other === null || noiseMs === null) return { ...found, verdict: 'unknown' };
  const more = other - one;
  if (Math.abs(more) <= noiseMs) return { ...found, verdict: 'same' };
  if (more < 0) return { ...found, verdict: 'better' };
  return { ...found, verdict: more > one * maxRegress ? 'worse' : 'same' };
}

function noiseOf(a: Report, b: Report, time: TimeName, stat: Stat, level: number): number | null {
  const ones: number[] = [];
  const others: number[] = [];
  for (const [i, slice] of a.slices.entries()) {
    const [one, other] = [slice[time][stat], b.slices[i]?.[time][stat] ?? null];
    if (one === null || other === null) continue;
    ones.push(one);
    others.push(other);
  }
  if (ones.length < PARTS_MIN) return null;
  const paired = spreadOf(others.map((other, i) => other - (ones[i] ?? 0)));
  const own = Math.min(spreadOf(ones), spreadOf(others));
  const spread = Math.max(paired, own, NOISE_MIN_MS, level * NOISE_MIN_SHARE);
  return Math.round(SPREADS * spread * 10) / 10;
}

function spreadOf(values: readonly number[]): number {
  const middle = medianOf(values);
  return MAD_TO_SIGMA * medianOf(values.map((value) => Math.abs(value - middle)));
}

function whatBroke(a: Report, b: Report): string[] {
  const rules = b.invariants.filter(({ id, violations }) => {
    const before = a.invariants.find((invariant) => invariant.id === id);
    return violations.length > 0 && before?.violations.length === 0;
  });
  const errors = ({ counts }: Report): number =>
    counts.refused + counts.unanswered_posts + counts.unanswered;
  const more = errors(b) - errors(a);
  const rate = more > ERROR_SHARE * b.counts.jobs ? [`${more} more errors (${errors(b)})`] : [];
  return [
    ...rules.map(({ title, violations }) => `broken now: ${title} (${violations.length})`),
    ...rate,
  ];
}
