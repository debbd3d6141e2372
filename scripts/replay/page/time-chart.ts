/**
 * One or two runs over time: offered and achieved rate, p50 and p99, errors, one above the other on
 * one time axis, storms shaded. Drawn for wide and for narrow pages.
 */
import type { Report } from '../report.ts';
import type { Moment } from '../series.ts';
import {
  decades,
  line,
  msLabel,
  niceTicks,
  shortNumber,
  svg,
  timeLabel,
  timeTicks,
} from './svg.ts';

export type Width = 'wide' | 'narrow';

const SIZES = {
  wide: { width: 900, ticks: 9 },
  narrow: { width: 350, ticks: 4 },
};
const LEFT = 50;
const RIGHT = 16;
const PANEL = 110;
const GAP = 38;
const TITLE = 24;
/** A storm is a moment; its least width, in per cent of the axis. */
const STORM_MIN_SHARE = 0.006;

type ChartRun = Pick<Report, 'series' | 'storms'>;
type Value = (moment: Moment) => number | null;
interface Drawn {
  value: Value;
  tone: string;
}

interface Panel {
  title: string;
  lines: Drawn[];
  logarithmic?: true;
}

/** `tones` are classes of the page's stylesheet, one for each run. */
export function timeChart(runs: readonly ChartRun[], width: Width): string {
  const size = SIZES[width];
  const endS = Math.max(1, ...runs.map(({ series }) => lastS(series)));
  const x = (s: number): number => LEFT + (s / endS) * (size.width - LEFT - RIGHT);
  const several = runs.length > 1;
  const panels: Panel[] = [
    {
      title: several ? 'jobs answered a second' : 'jobs a second: offered, achieved',
      lines: several
        ? [{ value: (m) => m.achieved, tone: '' }]
        : [
            { value: (m) => m.offered, tone: 'dim' },
            { value: (m) => m.achieved, tone: 'a' },
          ],
    },
    {
      title: several ? 'post → first socket, p99' : 'post → first socket: p50, p99',
      lines: several
        ? [{ value: (m) => m.p99, tone: '' }]
        : [
            { value: (m) => m.p50, tone: 'b' },
            { value: (m) => m.p99, tone: 'c' },
          ],
      logarithmic: true,
    },
    { title: 'errors a second', lines: [{ value: (m) => m.errors, tone: several ? '' : 'bad' }] },
  ];
  const bottom = TITLE + panels.length * (PANEL + GAP) - GAP;
  const height = bottom + 22;
  const parts = [
    ...runs.flatMap(({ storms }) => storms.map((storm) => shade(storm, x, endS, bottom))),
    ...panels.flatMap((panel, i) =>
      drawPanel(panel, runs, { x, top: i * (PANEL + GAP) + TITLE, right: size.width - RIGHT }),
    ),
    ...timeTicks(endS, size.ticks).map((s) => {
      const at = `x="${x(s).toFixed(1)}" y="${bottom + 16}"`;
      return `<text class="tick" ${at} text-anchor="middle">${timeLabel(s)}</text>`;
    }),
  ];
  return svg(size.width, height, 'The run over time', parts);
}

interface Place {
  x(s: number): number;
  top: number;
  right: number;
}

function drawPanel({ title, lines, logarithmic }: Panel, runs: readonly ChartRun[], at: Place) {
  const values = runs.flatMap(({ series }) =>
    series.moments.flatMap((moment) => lines.flatMap(({ value }) => value(moment) ?? [])),
  );
  const most = Math.max(0, ...values);
  const least = Math.min(...values.filter((value) => value > 0), most || 1);
  const ticks = logarithmic ? decades(least, most) : niceTicks(Math.max(2, most), 2);
  const [low = 0, high = 1] = [ticks[0], ticks.at(-1)];
  const share = (value: number): number =>
    logarithmic
      ? Math.log10(Math.max(value, low) / low) / Math.log10(high / low)
      : (value - low) / (high - low);
  const y = (value: number): number => at.top + (1 - share(value)) * PANEL;
  const grid = ticks.map((tick) => {
    const level = y(tick).toFixed(1);
    const label = logarithmic ? msLabel(tick) : shortNumber(tick);
    return `<path class="grid" d="M${LEFT} ${level}H${at.right}"/><text class="tick" x="${LEFT - 6}" y="${level}" dy="4" text-anchor="end">${label}</text>`;
  });
  const drawn = runs.flatMap(({ series }, run) =>
    lines.map(({ value, tone }) =>
      line(
        tone || `run${run}`,
        series.moments.map((moment) => {
          const found = value(moment);
          return found === null ? null : [at.x(moment.t_s + series.every_s / 2), y(found)];
        }),
      ),
    ),
  );
  return [`<text class="label" x="0" y="${at.top - 12}">${title}</text>`, ...grid, ...drawn];
}

function shade(
  { at_s, last_back_ms }: Report['storms'][number],
  x: (s: number) => number,
  endS: number,
  bottom: number,
): string {
  const toS = Math.min(endS, at_s + Math.max((last_back_ms ?? 0) / 1000, endS * STORM_MIN_SHARE));
  const width = (x(toS) - x(at_s)).toFixed(1);
  return `<rect class="storm" x="${x(at_s).toFixed(1)}" y="${TITLE}" width="${width}" height="${bottom - TITLE}"/>`;
}

function lastS({ moments, every_s }: Report['series']): number {
  return (moments.at(-1)?.t_s ?? 0) + every_s;
}
