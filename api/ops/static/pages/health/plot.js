/** Draws a chart with uPlot, in the colours of the page. */
import { readColours } from '../../map/colours.js';
import UPlot from '../../vendor/uplot.js';

const HEIGHT = 130;
const SHOWN_S = 900;
/** Colours of lines, in their order; the last is for the limit. The legend uses the same. */
const COLOURS = /** @type {const} */ (['accent', 'warn', 'bad']);
/** Dashed as well, so that colour is not the only sign. */
const DASHES = [[], [6, 4], [2, 4]];
/** Points further apart than this many steps are not joined: none was noted between them. */
const GAP_STEPS = 2;

/** @typedef {import('./chart.js').ChartData} ChartData */

/**
 * @param {HTMLElement} place
 * @param {ChartData} chart
 * @param {(time: string | null) => void} onPoint the time that is pointed at
 */
export function draw(place, chart, onPoint) {
  let colours = readColours(place);
  const axis = {
    stroke: () => colours.quiet,
    grid: { stroke: () => colours.line, width: 1 },
    ticks: { stroke: () => colours.line, width: 1, size: 4 },
    font: '11px system-ui',
  };
  const names = chart.lines.map(({ name }) => name);
  if (limitOf(chart) !== null) names.push('limit');
  let shown = /** @type {string[]} */ ([]);
  const plot = new UPlot(
    {
      ...{ width: widthOf(place), height: HEIGHT, legend: { show: false } },
      cursor: { y: false, drag: { x: false, y: false } },
      scales: {
        x: { time: true, range: (_plot, _min, max) => [max - SHOWN_S, max] },
        y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.15 : 1] },
      },
      axes: [
        { ...axis, size: 28, values: (_plot, ticks) => ticks.map(minuteOf) },
        { ...axis, size: 44 },
      ],
      series: [
        {},
        ...names.map((label, i) => {
          const look = label === 'limit' ? COLOURS.length - 1 : i;
          return {
            label,
            stroke: () => colours[COLOURS[look] ?? 'text'],
            dash: DASHES[look],
            width: 1.5,
            spanGaps: false,
            points: { show: false },
          };
        }),
      ],
      hooks: {
        setCursor: [({ cursor }) => onPoint(shown[cursor.idx ?? -1] ?? null)],
      },
    },
    undefined,
    place,
  );
  const resized = new ResizeObserver(() => plot.setSize({ width: widthOf(place), height: HEIGHT }));
  resized.observe(place);
  return {
    /** @param {string[]} times @param {ChartData} chart @param {number} stepS */
    show(times, chart, stepS) {
      if (shown === times) return;
      const table = withGaps(times, chart, stepS);
      shown = table.times;
      plot.setData(table.data);
    },
    recolour() {
      colours = readColours(place);
      plot.redraw(false, true);
    },
    end() {
      resized.disconnect();
      plot.destroy();
    },
  };
}

/** @param {ChartData} chart */
const limitOf = ({ lines }) => lines.find(({ limit }) => limit !== null)?.limit ?? null;

/** @param {HTMLElement} place */
const widthOf = (place) => Math.max(200, place.clientWidth);

/** @param {number} seconds */
const minuteOf = (seconds) => {
  const date = new Date(seconds * 1000);
  const two = (/** @type {number} */ value) => String(value).padStart(2, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}`;
};

/** @param {string[]} times @param {ChartData} chart @param {number} stepS */
function withGaps(times, chart, stepS) {
  const { lines } = chart;
  /** @type {string[]} */
  const all = [];
  const rows = lines.map(() => /** @type {(number | null)[]} */ ([]));
  let before = Number.POSITIVE_INFINITY;
  for (const [i, time] of times.entries()) {
    const at = Date.parse(time);
    if (at - before > GAP_STEPS * stepS * 1000) {
      all.push(new Date(before + stepS * 1000).toISOString());
      for (const row of rows) row.push(null);
    }
    all.push(time);
    for (const [n, row] of rows.entries()) row.push(lines[n]?.values[i] ?? null);
    before = at;
  }
  const limit = limitOf(chart);
  const highest = Math.max(...rows.flat().map((value) => value ?? 0));
  // A limit far above the line is not drawn: the line would look flat.
  const isNear = limit !== null && highest > limit / 2;
  const limits = limit === null ? [] : [all.map(() => (isNear ? limit : null))];
  const seconds = all.map((time) => Date.parse(time) / 1000);
  /** @type {[number[], ...(number | null)[][]]} */
  const data = [seconds, ...rows, ...limits];
  return { times: all, data };
}
