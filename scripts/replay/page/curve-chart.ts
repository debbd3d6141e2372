/**
 * Latency by percentile, as HdrHistogram draws it: the far right is the rare, each step a tenth as
 * many. Several curves over each other, milliseconds on a logarithmic axis.
 */
import type { CurvePoint } from '../curves.ts';
import { decades, escapeHtml, line, msLabel, svg } from './svg.ts';
import type { Width } from './time-chart.ts';

const SIZES = { wide: { width: 900, height: 300 }, narrow: { width: 350, height: 260 } };
const LEFT = 56;
const RIGHT = 30;
const TOP = 10;
const BOTTOM = 26;
/** 0 %, 90 %, 99 % …: the scale shows how rare larger values are. */
const STEPS = ['0 %', '90 %', '99 %', '99.9 %', '99.99 %'];

export interface Curve {
  title: string;
  tone: string;
  points: readonly CurvePoint[];
}

/** Empty when nothing was measured. */
export function curveChart(curves: readonly Curve[], width: Width): string {
  const shown = curves.filter(({ points }) => points.length > 0);
  if (shown.length === 0) return '';
  const size = SIZES[width];
  const values = shown.flatMap(({ points }) => points.map(({ ms }) => ms));
  const ticks = decades(Math.min(...values), Math.max(...values));
  const [low = 1, high = 10] = [ticks[0], ticks.at(-1)];
  const rarest = Math.max(1, ...shown.flatMap(({ points }) => points.map(({ q }) => rarity(q))));
  const steps = STEPS.slice(0, Math.ceil(rarest - 1e-9) + 1);
  const inner = { width: size.width - LEFT - RIGHT, height: size.height - TOP - BOTTOM };
  const x = (q: number): number => LEFT + (rarity(q) / (steps.length - 1)) * inner.width;
  const y = (ms: number): number => {
    const share = Math.log10(Math.max(ms, low) / low) / Math.log10(high / low);
    return TOP + (1 - share) * inner.height;
  };
  const grid = ticks.map((tick) => {
    const level = y(tick).toFixed(1);
    return `<path class="grid" d="M${LEFT} ${level}H${size.width - RIGHT}"/><text class="tick" x="${LEFT - 6}" y="${level}" dy="4" text-anchor="end">${msLabel(tick)}</text>`;
  });
  const marks = steps.map((label, i) => {
    const at = (LEFT + (i / (steps.length - 1)) * inner.width).toFixed(1);
    return `<path class="grid" d="M${at} ${TOP}V${size.height - BOTTOM}"/><text class="tick" x="${at}" y="${size.height - 6}" text-anchor="middle">${label}</text>`;
  });
  const drawn = shown.map(({ tone, points }) =>
    line(
      tone,
      points.map(({ q, ms }) => [x(q), y(ms)] as const),
    ),
  );
  return svg(size.width, size.height, 'Latency by percentile', [...grid, ...marks, ...drawn]);
}

export function legend(entries: readonly { tone: string; title: string }[]): string {
  const items = entries.map(
    ({ tone, title }) => `<span><i class="${tone}"></i>${escapeHtml(title)}</span>`,
  );
  return `<p class="legend">${items.join('')}</p>`;
}

/** 0 for all, 1 for one in ten, 2 for one in a hundred … */
function rarity(q: number): number {
  return -Math.log10(Math.max(1 - q / 100, 10 ** -(STEPS.length - 1)));
}
