/**
 * Inline SVG for the report: lines over time, bars of percentiles, a map. Plain strings, no script.
 */
import type { Spread } from './stats.ts';

const WIDTH = 720;
const HEIGHT = 200;
const LEFT = 52;
const RIGHT = 20;
const BOTTOM = 24;
/** Lines need no more points than pixels. */
const POINTS_MAX = 360;

export interface Line {
  title: string;
  /** A class of the page's stylesheet. */
  tone: string;
  values: readonly number[];
}

/** Several counts over the same times, in seconds. */
export function lineChart(seconds: readonly number[], lines: readonly Line[]): string {
  const top = niceMax(Math.max(1, ...lines.flatMap((line) => line.values)));
  const end = Math.max(1, seconds.at(-1) ?? 1);
  const x = (s: number): number => LEFT + (s / end) * (WIDTH - LEFT - RIGHT);
  const y = (value: number): number => 8 + (1 - value / top) * (HEIGHT - BOTTOM - 8);
  const step = Math.max(1, Math.ceil(seconds.length / POINTS_MAX));
  const paths = lines.map(({ tone, values }) => {
    const points = seconds.flatMap((s, i) =>
      i % step === 0 || i === seconds.length - 1
        ? [`${x(s).toFixed(1)},${y(values[i] ?? 0).toFixed(1)}`]
        : [],
    );
    return `<polyline class="line ${tone}" points="${points.join(' ')}"/>`;
  });
  const grid = [0, 0.5, 1].map((share) => {
    const at = y(top * share).toFixed(1);
    return `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at}" y2="${at}"/>
<text class="tick" x="${LEFT - 6}" y="${at}" text-anchor="end" dy="4">${short(top * share)}</text>`;
  });
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => {
    const at = `x="${x(end * share).toFixed(1)}" y="${HEIGHT - 6}" text-anchor="middle"`;
    return `<text class="tick" ${at}>${Math.round(end * share)} s</text>`;
  });
  return svg(WIDTH, HEIGHT, [...grid, ...paths, ...ticks]);
}

/** p50, p95 and p99 of each time as one bar on a logarithmic scale. */
export function spreadChart(rows: readonly { title: string; spread: Spread }[]): string {
  const measured = rows.filter(({ spread }) => spread.count > 0);
  const most = Math.max(10, ...measured.map(({ spread }) => spread.max ?? 0));
  const label = 230;
  const x = (ms: number): number =>
    label + (Math.log10(1 + ms) / Math.log10(1 + most)) * (WIDTH - label - 60);
  const bars = measured.map(({ title, spread }, i) => {
    const y = 10 + i * 30;
    const { p50, p95, p99 } = spread;
    const bar = (tone: string, ms: number): string => {
      const width = (x(ms) - label + 1).toFixed(1);
      return `<rect class="bar ${tone}" x="${label}" y="${y}" width="${width}" height="16"/>`;
    };
    const at = `x="${label - 10}" y="${y + 12}" text-anchor="end"`;
    return `<text class="label" ${at}>${escapeHtml(title)}</text>
${bar('p99', p99 ?? 0)}${bar('p95', p95 ?? 0)}${bar('p50', p50 ?? 0)}
<text class="tick" x="${(x(p99 ?? 0) + 8).toFixed(1)}" y="${y + 12}">${p50} / ${p95} / ${p99}</text>`;
  });
  return svg(WIDTH + 100, 16 + measured.length * 30, bars);
}

export interface MapPoint {
  lat: number;
  lng: number;
  tone: string;
}

/** Points on the plane, north up, scaled for the latitude. */
export function mapChart(points: readonly MapPoint[]): string {
  if (points.length === 0) return '';
  const [south, north] = range(points.map((point) => point.lat));
  const [west, east] = range(points.map((point) => point.lng));
  const squeeze = Math.cos((((south + north) / 2) * Math.PI) / 180);
  const spanX = Math.max(1e-6, (east - west) * squeeze);
  const spanY = Math.max(1e-6, north - south);
  const scale = Math.min((WIDTH - 20) / spanX, 420 / spanY);
  const dots = points.map(({ lat, lng, tone }) => {
    const x = 10 + (lng - west) * squeeze * scale;
    const y = 10 + (north - lat) * scale;
    return `<circle class="${tone}" cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="2"/>`;
  });
  return svg(Math.ceil(spanX * scale) + 20, Math.ceil(spanY * scale) + 20, dots);
}

export function escapeHtml(text: string): string {
  const named: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return text.replace(/[&<>"]/g, (character) => named[character] ?? character);
}

function range(values: readonly number[]): [number, number] {
  return values.reduce<[number, number]>(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  );
}

/** The next 1, 2 or 5 times a power of ten. */
function niceMax(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const factor = [1, 2, 5, 10].find((candidate) => candidate * power >= value) ?? 10;
  return factor * power;
}

function short(value: number): string {
  return value >= 1000 ? `${Math.round(value / 100) / 10}k` : String(Math.round(value * 10) / 10);
}

function svg(width: number, height: number, parts: readonly string[]): string {
  return `<svg viewBox="0 0 ${width} ${height}" role="img">${parts.join('\n')}</svg>`;
}
