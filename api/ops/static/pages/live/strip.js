/** The strip above the live page: is all well, and how many there are of everything. */
import { useFeed } from '../../lib/feed.js';
import { html } from '../../lib/html.js';
import { failedChecks, isOnline, isOpen } from '../../lib/names.js';
import { Link } from '../../lib/route.js';
import { duration } from '../../lib/time.js';
import { useNow } from '../../lib/use-now.js';

/** @typedef {import('../../lib/feed.js').Health} Health */

/** @param {{children?: unknown}} props what else fits */
export function Strip({ children }) {
  const health = useFeed((feed) => feed.health);
  const now = useNow();
  if (!health) return null;
  const open = sum(health.jobs, isOpen);
  const oldest = health.oldest_open_at;
  return html`<div class="strip"><dl aria-label="Health">
    <${Readiness} health=${health} />
    <${Figure} name="Open jobs" value=${open} />
    <${Figure} name="Oldest open" value=${oldest ? duration(now - Date.parse(oldest)) : '–'} />
    <${Figure} name="Drivers online" value=${sum(health.drivers, isOnline)} />
    <${AlarmFigure} health=${health} alarm="claims fail" name="Claims fail" unit="/s" digits=${1} />
    <${AlarmFigure} health=${health} alarm="pushes wait" name="Push wait" unit=" s" digits=${0} />
    </dl>
    ${children}
  </div>`;
}

/** @param {{health: Health}} props */
function Readiness({ health: { checks, alarms } }) {
  const isLost = useFeed((feed) => feed.status === 'disconnected');
  const failed = failedChecks(checks);
  const rung = (alarms ?? []).filter(({ ok }) => !ok);
  let [tone, sign, text] = ['good', '✓', 'Ready'];
  if (isLost) [tone, sign, text] = ['', '?', 'Not known'];
  else if (failed.length > 0) [tone, sign, text] = ['bad', '✕', `${failed.join(', ')} failed`];
  else if (rung.length > 0) [tone, sign, text] = ['warn', '▲', alarmsIn(rung)];
  return html`<div class=${`figure ${tone}`}>
    <dt>State</dt>
    <dd><${Link} to="/health"><span aria-hidden="true">${sign}</span> ${text}<//></dd>
  </div>`;
}

/** @param {import('../../lib/feed.js').Alarm[]} rung */
const alarmsIn = (rung) => (rung.length === 1 ? (rung[0]?.name ?? '') : `${rung.length} alarms`);

/** @param {{name: string, value: unknown, tone?: string}} props */
const Figure = ({ name, value, tone = '' }) =>
  html`<div class=${`figure ${tone}`}><dt>${name}</dt><dd>${value}</dd></div>`;

/** @param {{health: Health, alarm: string, name: string, unit: string, digits: number}} props */
function AlarmFigure({ health, alarm, name, unit, digits }) {
  const found = health.alarms?.find((one) => one.name === alarm);
  const value = found?.value ?? null;
  return html`<${Figure} name=${name} tone=${found && !found.ok ? 'bad' : ''}
    value=${value === null ? '–' : `${found && !found.ok ? '▲ ' : ''}${value.toFixed(digits)}${unit}`} />`;
}

/** @param {Record<string, number>} counts @param {(name: string) => boolean} counted */
function sum(counts, counted) {
  return Object.entries(counts).reduce((all, [name, n]) => all + (counted(name) ? n : 0), 0);
}
