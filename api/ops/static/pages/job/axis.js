/**
 * The time axis of a job: moments within seconds of each other are drawn to scale, and stretches in which
 * nothing happens are cut short, so that a minute of waiting does not hide the first second.
 */
import { duration } from '../../lib/time.js';

/** A stretch longer than this is cut short: a burst is over by then. */
const BREAK_MS = 5000;
/** The width of a break, as a share of the whole, */
const BREAK_SHARE = 0.09;
/** and of all breaks together at most. */
const BREAKS_SHARE = 0.6;
/** The share of the width that a label needs, even on a phone. */
const LABEL_SHARE = 0.16;
const STEPS_MS = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000];

/**
 * @typedef {object} Stretch
 * @property {number} from epoch ms
 * @property {number} to
 * @property {boolean} broken
 * @property {number} x where it begins, 0 to 1
 * @property {number} width
 *
 * @typedef {object} Axis
 * @property {(at: number) => number} x 0 to 1
 * @property {{x: number, width: number, text: string}[]} breaks
 * @property {{x: number, text: string}[]} ticks since the first moment
 */

/** @param {readonly number[]} moments at least one, epoch ms @returns {Axis} */
export function axisOf(moments) {
  const sorted = [...new Set(moments)].sort((a, b) => a - b);
  const stretches = layOut(sorted);
  const first = sorted[0] ?? 0;
  const end = stretches.at(-1);
  /** @param {number} at */
  const x = (at) => {
    const one = stretches.find(({ to }) => at <= to) ?? end;
    if (!one) return 0;
    const part = (Math.min(at, one.to) - one.from) / (one.to - one.from);
    return one.x + one.width * Math.max(0, part);
  };
  return {
    x,
    breaks: stretches
      .filter(({ broken }) => broken)
      .map(({ x, width, from, to }) => ({ x, width, text: duration(to - from) })),
    ticks: ticksOf(stretches, first),
  };
}

/** @param {readonly number[]} sorted @returns {Stretch[]} */
function layOut(sorted) {
  const gaps = sorted.slice(1).map((to, i) => {
    const from = /** @type {number} */ (sorted[i]);
    return { from, to, broken: to - from > BREAK_MS };
  });
  const broken = gaps.filter((gap) => gap.broken).length;
  const scaled = gaps.reduce((sum, { from, to, broken }) => sum + (broken ? 0 : to - from), 0);
  const share = scaled === 0 ? 1 / broken : Math.min(BREAK_SHARE, BREAKS_SHARE / broken);
  let x = 0;
  return gaps.map((gap) => {
    const ms = gap.to - gap.from;
    const width = gap.broken ? share : (ms / scaled) * (1 - share * broken);
    x += width;
    return { ...gap, x: x - width, width };
  });
}

/**
 * Ticks to scale from the first moment on, and one at the start of each later run.
 * @param {readonly Stretch[]} stretches @param {number} first
 */
function ticksOf(stretches, first) {
  const until = stretches.findIndex(({ broken }) => broken);
  const run = until < 0 ? stretches : stretches.slice(0, until);
  const width = run.reduce((sum, one) => sum + one.width, 0);
  const ms = (run.at(-1)?.to ?? first) - first;
  const step = STEPS_MS.find((one) => (one / ms) * width >= LABEL_SHARE) ?? ms;
  const ticks = [{ x: 0, text: '0' }];
  for (let at = step; ms > 0 && at <= ms; at += step) {
    ticks.push({ x: (at / ms) * width, text: since(at) });
  }
  for (const { broken, to, x, width } of stretches) {
    const end = x + width;
    const isFree = end - (ticks.at(-1)?.x ?? 0) >= LABEL_SHARE && end < 1 - LABEL_SHARE / 2;
    if (broken && isFree) ticks.push({ x: end, text: since(to - first) });
  }
  return ticks;
}

/** The time after: `+350 ms`, `+1.5 s`, `+3 min 05 s`. @param {number} ms */
export function since(ms) {
  if (ms < 1000) return `+${Math.round(ms)} ms`;
  if (ms < 60_000) return `+${Number((ms / 1000).toFixed(1))} s`;
  return `+${duration(ms)}`;
}
