/**
 * Thresholds: `post_to_first_socket.p99<500` for a time, in milliseconds, or `counts.open<1` for a
 * count. Judged at the end; during the run it is checked whether one can still be met.
 */
import type { Counts } from './counts.ts';
import { UsageError } from './flags.ts';
import { PERCENTILES, type PercentileName, rankOf, SAMPLES_MIN, type Spread } from './stats.ts';
import { TIME_NAMES, type TimeName } from './times.ts';

type Operator = '<' | '<=' | '>' | '>=';
type Stat = keyof Spread;

export interface Threshold {
  text: string;
  of: { time: TimeName; stat: Stat } | { count: keyof Counts };
  operator: Operator;
  limit: number;
}

export interface Judged {
  text: string;
  ok: boolean;
  /** Null where there were too few samples to say. */
  value: number | null;
  note: string | null;
}

const STATS: readonly string[] = ['count', ...Object.keys(PERCENTILES), 'max'];
const COUNTS = [
  ...['jobs', 'posted', 'refused', 'unanswered_posts', 'pending', 'reached', 'reached_nobody'],
  ...[
    'open',
    'taken',
    'swept',
    'offers',
    'taps',
    'won',
    'lost',
    'unanswered',
    'pending_taps',
    'declined',
  ],
  ...['customers_told', 'warmup'],
];
const SHAPE = /^\s*([a-z_]+)\.([a-z0-9_]+)\s*(<=|>=|<|>)\s*(\d+(?:\.\d+)?)\s*(?:ms)?\s*$/;

/** Throws `UsageError`, which lists the possible names. */
export function parseThreshold(text: string): Threshold {
  const [, name = '', stat = '', operator, limit] = SHAPE.exec(text) ?? [];
  const rest = { text: text.trim(), operator: operator as Operator, limit: Number(limit) };
  if (operator === undefined) {
    throw new UsageError(`--threshold must be like 'post_to_first_socket.p99<500', not '${text}'`);
  }
  if (name === 'counts') {
    if (COUNTS.includes(stat)) return { ...rest, of: { count: stat as keyof Counts } };
    throw new UsageError(`--threshold: there is no count '${stat}', only ${COUNTS.join(', ')}`);
  }
  const time = TIME_NAMES.find((known) => known === name);
  if (!time) {
    throw new UsageError(`--threshold: there is no time '${name}', only ${TIME_NAMES.join(', ')}`);
  }
  if (STATS.includes(stat)) return { ...rest, of: { time, stat: stat as Stat } };
  throw new UsageError(`--threshold: there is no '${stat}' of a time, only ${STATS.join(', ')}`);
}

/** With too few samples to tell, a threshold has not been met. */
export function judgeThreshold(
  { text, of, operator, limit }: Threshold,
  times: Record<TimeName, Spread>,
  counts: Counts,
): Judged {
  const value = 'time' in of ? times[of.time][of.stat] : counts[of.count];
  if (value !== null) return { text, ok: holds(value, operator, limit), value, note: null };
  const count = 'time' in of ? times[of.time].count : 0;
  const need = 'time' in of && of.stat === 'max' ? 1 : SAMPLES_MIN;
  return { text, ok: false, value, note: `only ${count} samples, ${need} are needed` };
}

export interface SoFar {
  /** Samples so far, in milliseconds. */
  values: Record<TimeName, readonly number[]>;
  /** How many there may be at most in the end. */
  most: Record<TimeName, number>;
  counts: Counts;
}

/** Whether it cannot be met any more, whatever is still to come. */
export function isHopeless({ of, operator, limit }: Threshold, soFar: SoFar): boolean {
  // Counts only grow, except those of states that a job passes through.
  if ('count' in of) {
    const passing = ['pending', 'open', 'reached_nobody', 'pending_taps'].includes(of.count);
    return !passing && operator.startsWith('<') && !holds(soFar.counts[of.count], operator, limit);
  }
  if (!operator.startsWith('<')) return false;
  const values = soFar.values[of.time];
  if (of.stat === 'count') return !holds(values.length, operator, limit);
  const most = Math.max(values.length, soFar.most[of.time]);
  const share = of.stat === 'max' ? 100 : PERCENTILES[of.stat as PercentileName];
  const mayMiss = most - rankOf(share, most);
  return values.filter((value) => !holds(value, operator, limit)).length > mayMiss;
}

function holds(value: number, operator: Operator, limit: number): boolean {
  if (operator === '<') return value < limit;
  if (operator === '<=') return value <= limit;
  return operator === '>' ? value > limit : value >= limit;
}
