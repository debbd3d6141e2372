/** What is wrong right now, and what to do about it; below, the last quarter of an hour. */
import { useFeed } from '../lib/feed.js';
import { html } from '../lib/html.js';
import { failedChecks } from '../lib/names.js';
import { clock } from '../lib/time.js';
import { Loading, Refused, Trouble } from '../lib/ui.js';
import { useCall } from '../lib/use-call.js';
import { AlarmTable } from './health/alarms.js';
import { Chart } from './health/chart.js';

/** @typedef {import('../lib/feed.js').Alarm} Alarm */
/** @typedef {import('../lib/feed.js').Health} Health */

/** The checks without which the others fail, as people call them. @type {Readonly<Record<string, string>>} */
const STORES = { redis: 'Redis', postgres: 'Postgres' };
/** How often the server notes a point. */
const EVERY_MS = 15_000;

export function Page() {
  return html`
    <h1>Health</h1>
    <${Now} />
    <${Charts} />`;
}

function Now() {
  const health = useFeed((feed) => feed.health);
  if (!health) return html`<${Loading} what="Reading the alarms" />`;
  return html`<${NotReady} checks=${health.checks} />
    ${health.alarms ? html`<${Alarms} alarms=${health.alarms} at=${health.at} />` : html`<${Unread} />`}`;
}

/** Which of its parts this Muster lacks, and which of them to see to. @param {{checks: Health['checks']}} props */
function NotReady({ checks }) {
  const failed = failedChecks(checks);
  if (failed.length === 0) return null;
  const stores = failed.filter((name) => STORES[name]).map((name) => STORES[name]);
  return html`<${Trouble}>
    <strong>Not ready: ${failed.join(', ')} failed.</strong>${' '}
    ${
      stores.length > 0
        ? `See to ${stores.join(' and ')}: does it run, and do the api processes reach it?`
        : 'The log of the api processes says why.'
    }
  <//>`;
}

const Unread = () => html`<${Trouble} quiet>
  The alarms cannot be read now: they need Redis and Postgres.${' '}
  <a href="#charts">The charts</a> end where that began.
<//>`;

/** @param {{alarms: Alarm[], at: string}} props */
function Alarms({ alarms, at }) {
  const ringing = alarms.filter(({ ok }) => !ok);
  return html`<section class="panel" aria-label="Alarms">
    <h2 role="status" class=${ringing.length === 0 ? 'good-text' : 'bad-text'}>
      <span aria-hidden="true">${ringing.length === 0 ? '✓' : '▲'}</span> ${sumUp(alarms)}
      <small class="quiet"> as of ${clock(at)}</small>
    </h2>
    <${AlarmTable} alarms=${[...ringing, ...alarms.filter(({ ok }) => ok)]} />
  </section>`;
}

/** In a few words. @param {Alarm[]} alarms */
function sumUp(alarms) {
  const ringing = alarms.filter(({ ok }) => !ok).length;
  const unknown = alarms.filter(({ ok, value }) => ok && value === null).length;
  const all = alarms.length;
  if (ringing > 0) return `${ringing} of ${all} alarms ${ringing === 1 ? 'rings' : 'ring'}`;
  if (unknown === 0) return `All ${all} alarms are quiet`;
  return `No alarm rings; ${unknown} of ${all} ${unknown === 1 ? 'is' : 'are'} not measured`;
}

function Charts() {
  const { answer, refusal, at, reload } = useCall(
    '/api/ops/health/history',
    {},
    { everyMs: EVERY_MS },
  );
  return html`<section id="charts" aria-label="The last 15 minutes">
    <h2>The last 15 minutes</h2>
    ${
      refusal &&
      html`<${Trouble} quiet=${answer !== null} onRetry=${reload}>
        ${answer && `As of ${clock(at ?? 0)}. `}<${Refused} refusal=${refusal} />
      <//>`
    }
    ${!answer && !refusal && html`<${Loading} what="Reading the charts" />`}
    ${
      answer?.times.length === 0 &&
      html`<p class="empty" role="status">Nothing is noted yet: the worker that leads notes a point
        every ${answer.step_s} s.</p>`
    }
    ${
      answer?.times.length > 0 &&
      html`<div class="charts">
        ${answer.charts.map(
          (/** @type {any} */ chart) => html`<${Chart}
          key=${chart.name} chart=${chart} times=${answer.times} stepS=${answer.step_s} />`,
        )}
      </div>`
    }
  </section>`;
}
