/** The waterfall of a job on one axis, and the list of all that is on record. */
import { html } from '../../lib/html.js';
import { clock } from '../../lib/time.js';
import { axisOf, since } from './axis.js';
import { happenings, lanesOf } from './moments.js';
import { count } from './words.js';

/**
 * @typedef {import('./moments.js').Records} Records
 * @typedef {import('./axis.js').Axis} Axis
 */

/** @param {{records: Records, at: number}} props `at`: as of when, epoch ms */
export function Timeline({ records, at }) {
  return html`<section class="panel timeline" aria-label="Timeline">
    <h2>Timeline</h2>
    <${Waterfall} records=${records} at=${at} />
    <${Record} records=${records} />
  </section>`;
}

/** For those who can see it; the list below says the same. @param {{records: Records, at: number}} props */
function Waterfall({ records, at }) {
  const lanes = lanesOf(records, at);
  const axis = axisOf(
    lanes.flatMap(({ marks, bars }) => [
      ...marks.map((mark) => mark.at),
      ...bars.flatMap(({ from, to }) => [from, to]),
    ]),
  );
  return html`<div class="waterfall" aria-hidden="true">
    <div class="lane axis">
      <span></span>
      <svg>
        ${axis.ticks.map(
          ({ x, text }) => html`<text
          x=${percent(x)} y="14" text-anchor=${x < 0.02 ? 'start' : x > 0.92 ? 'end' : 'middle'}
        >${text}</text>`,
        )}
      </svg>
      <span></span>
    </div>
    ${lanes.map(
      (lane) => html`<div class="lane">
      <span class="name">${lane.name}</span>
      <svg class=${lane.name.toLowerCase()}>
        <${Breaks} axis=${axis} labelled=${lane.name === 'Posted'} />
        ${lane.bars.map(
          ({ from, to }) => html`<rect class="span"
          x=${percent(axis.x(from))} width=${percent(between(axis, from, to))} y="8" height="6" rx="3"
        />`,
        )}
        ${lane.marks.map((mark) => html`<${Mark} mark=${mark} x=${axis.x(mark.at)} />`)}
      </svg>
      <span class="quiet">${lane.summary}</span>
    </div>`,
    )}
  </div>`;
}

/** With the clocks of two processes an end may come before its beginning. @param {Axis} axis @param {number} from @param {number} to */
const between = (axis, from, to) => Math.max(0, axis.x(to) - axis.x(from));

/** @param {{axis: Axis, labelled: boolean}} props */
const Breaks = ({ axis, labelled }) =>
  axis.breaks.map(
    ({ x, width, text }) => html`
    <rect class="break" x=${percent(x)} width=${percent(width)} y="0" height="22" />
    ${
      labelled &&
      width > 0.06 &&
      html`<text x=${percent(x + width / 2)} y="6" text-anchor="middle"
      class="pause">${text}</text>`
    }
  `,
  );

/** @type {Readonly<Record<string, string>>} */
const SHAPES = {
  tick: 'M0 4V18',
  dot: 'M-4 11a4 4 0 1 0 8 0a4 4 0 1 0 -8 0',
  diamond: 'M0 5L5 11L0 17L-5 11Z',
  cross: 'M-4 7L4 15M4 7L-4 15',
};

/** @param {{mark: import('./moments.js').Mark, x: number}} props */
const Mark = ({ mark, x }) => html`<svg x=${percent(x)} overflow="visible">
  <path class=${mark.shape} d=${SHAPES[mark.shape]}><title>${mark.title}, ${clock(mark.at)}</title></path>
</svg>`;

/** @param {number} part */
const percent = (part) => `${(part * 100).toFixed(3)}%`;

/** @param {{records: Records}} props */
function Record({ records }) {
  const list = happenings(records);
  const first = list[0]?.at ?? 0;
  return html`<table class="record cards" aria-label="What happened, in order">
    <thead><tr><th>When</th><th>What</th><th>Who</th></tr></thead>
    <tbody>${list.map(
      (line) => html`<tr>
      <td><time dateTime=${new Date(line.at).toISOString()}>${clock(line.at)}</time>${' '}
        <span class="quiet">${line.at > first && since(line.at - first)}</span></td>
      <td>${line.rows.length > 1 ? html`<${Group} line=${line} />` : html`<${Line} line=${line} />`}</td>
      <td class="id">${line.rows.length > 1 ? count(line.rows.length, 'driver') : line.who}</td>
    </tr>`,
    )}</tbody>
  </table>`;
}

/** @param {{line: import('./moments.js').Happening}} props */
const Line = ({ line }) =>
  html`${line.what}${line.more && html` <span class="quiet">${line.more}</span>`}`;

/** @param {{line: ReturnType<typeof happenings>[number]}} props */
const Group = ({ line }) => html`<details>
  <summary>${line.what}</summary>
  <ul>${line.rows.map(
    ({ at, who, more }) => html`<li>
    <span class="id">${who}</span> ${clock(at)}${' '}<span class="quiet">${more}</span>
  </li>`,
  )}</ul>
</details>`;
