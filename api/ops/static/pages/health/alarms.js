/** The alarms as a table: ringing ones first, each with what to do. */
import { url } from '../../lib/base.js';
import { html } from '../../lib/html.js';
import { Pill } from '../../lib/ui.js';
import { amount } from './amount.js';

/** The unit of an alarm's value. @type {Readonly<Record<string, string>>} */
const UNITS = {
  'claims fail': 'a second',
  'feed behind': 's',
  'feeds start over': 'a second',
  'pushes wait': 's',
  'pushes fail': '%',
  repairs: 'a second',
  'no worker reports': 's',
};

/** @param {{alarms: import('../../lib/feed.js').Alarm[]}} props */
export const AlarmTable = ({ alarms }) =>
  html`<table class="cards alarms">
    <thead><tr>
      <th>Alarm</th><th>State</th><th class="number">Value</th><th class="number">Limit</th><th>What to do</th>
    </tr></thead>
    <tbody>${alarms.map(
      ({ name, value, limit, ok, what_to_do }) => html`<tr key=${name} class=${ok ? '' : 'ringing'}>
      <th scope="row">${name}</th>
      <td><${Pill} ...${stateOf(ok, value)} /></td>
      <td class="number" data-of="Value">${value === null ? 'not measured' : amount(value, UNITS[name])}</td>
      <td class="number quiet" data-of="Limit">${amount(limit, UNITS[name])}</td>
      <td class=${ok ? 'quiet' : ''}>${withCode(what_to_do)}</td>
    </tr>`,
    )}</tbody>
  </table>`;

/** @param {boolean} ok @param {number | null} value */
function stateOf(ok, value) {
  if (!ok) return { tone: 'bad', sign: '▲', text: 'Rings' };
  if (value === null) return { tone: 'quiet', sign: '–', text: 'Unknown' };
  return { tone: 'good', sign: '✓', text: 'Quiet' };
}

/** Text between backticks is code; our own paths become links. @param {string} text */
function withCode(text) {
  return text.split('`').map((part, i) => {
    if (i % 2 === 0) return part;
    const code = html`<code>${part}</code>`;
    return part.startsWith('/') ? html`<a href=${url(part)}>${code}</a>` : code;
  });
}
