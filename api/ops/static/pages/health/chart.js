/** One chart: drawn, and also in words and numbers for everybody. */
import { html, useLayoutEffect, useRef, useState } from '../../lib/html.js';
import { onTheme } from '../../lib/theme.js';
import { clock } from '../../lib/time.js';
import { amount } from './amount.js';
import { draw } from './plot.js';

/**
 * @typedef {object} ChartData
 * @property {string} name
 * @property {string} unit
 * @property {{name: string, limit: number | null, values: (number | null)[]}[]} lines
 */

/** @param {{chart: ChartData, times: string[], stepS: number}} props */
export function Chart({ chart, times, stepS }) {
  const place = useRef(/** @type {HTMLElement | null} */ (null));
  const plot = useRef(/** @type {ReturnType<typeof draw> | null} */ (null));
  const [pointed, setPointed] = useState(/** @type {string | null} */ (null));
  useLayoutEffect(() => {
    if (!place.current) return;
    const drawn = draw(place.current, chart, setPointed);
    plot.current = drawn;
    const leaveTheme = onTheme(drawn.recolour);
    return () => {
      leaveTheme();
      drawn.end();
    };
  }, [chart.name]);
  useLayoutEffect(() => plot.current?.show(times, chart, stepS), [times, chart]);
  const at = pointed === null ? -1 : times.indexOf(pointed);
  return html`<figure class="panel chart">
    <figcaption>
      <h3>${chart.name} <small class="quiet">${chart.unit}</small></h3>
      <ul>${chart.lines.map(
        ({ name, values, limit }, i) => html`<li key=${name}>
        <span class=${`key line-${i}`} aria-hidden="true"></span>
        ${chart.lines.length > 1 && `${name}: `}${at < 0 ? summaryOf(values, times) : `${told(values[at])} at ${clock(times[at] ?? '')}`}
        ${limit !== null && html`<span class="quiet"> (alarm above ${amount(limit)})</span>`}
      </li>`,
      )}</ul>
    </figcaption>
    <div class="plot" aria-hidden="true" ref=${place}></div>
    <details>
      <summary>As numbers</summary>
      <${Numbers} chart=${chart} times=${times} stepS=${stepS} />
    </details>
  </figure>`;
}

/** @param {(number | null)[]} values @param {string[]} times */
function summaryOf(values, times) {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return 'not measured';
  const highest = Math.max(...known);
  const when = clock(times[values.indexOf(highest)] ?? '');
  const now = `now ${told(values.at(-1))}`;
  return highest === values.at(-1) ? now : `${now}, highest ${told(highest)} at ${when}`;
}

/** @param {number | null | undefined} value */
const told = (value) => (value === null || value === undefined ? 'not measured' : amount(value));

/** A row a minute. @param {{chart: ChartData, times: string[], stepS: number}} props */
function Numbers({ chart, times, stepS }) {
  const step = Math.max(1, Math.round(60 / stepS));
  const rows = times.map((_, i) => i).filter((i) => (times.length - 1 - i) % step === 0);
  return html`<table>
    <thead><tr><th>Time</th>${chart.lines.map(({ name }) => html`<th class="number">${name}</th>`)}</tr></thead>
    <tbody>${rows.reverse().map(
      (i) => html`<tr key=${times[i]}>
      <td>${clock(times[i] ?? '')}</td>
      ${chart.lines.map(({ values }) => html`<td class="number">${told(values[i])}</td>`)}
    </tr>`,
    )}</tbody>
  </table>`;
}
