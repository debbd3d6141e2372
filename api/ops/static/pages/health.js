/** What is wrong right now, and what to do about it; below, the last quarter of an hour. */
import { useFeed } from '../lib/feed.js';
import { html } from '../lib/html.js';
import { clock } from '../lib/time.js';
import { Loading, Refused, Trouble } from '../lib/ui.js';
import { useCall } from '../lib/use-call.js';
import { AlarmTable } from './health/alarms.js';
import { Chart } from './health/chart.js';

/** How often the server notes a point. */
const EVERY_MS = 15_000;

export function Page() {
  return html`
    <h1>Health</h1>
    <${Alarms} />
    <${Charts} />`;
}

function Alarms() {
  const health = useFeed((feed) => feed.health);
  if (!health) return html`<${Loading} what="Reading the alarms" />`;
  const { alarms, at } = health;
  if (!alarms) {
    return html`<${Trouble}>
      The alarms cannot be read now: Redis or Postgres does not answer. <a href="#charts">The charts</a>
      end where that began.
    <//>`;
  }
  const ringing = alarms.filter(({ ok }) => !ok);
  const said =
    ringing.length === 0
      ? `All ${alarms.length} alarms are quiet`
      : `${ringing.length} of ${alarms.length} alarms ${ringing.length === 1 ? 'rings' : 'ring'}`;
  return html`<section class="panel" aria-label="Alarms">
    <h2 role="status" class=${ringing.length === 0 ? 'good-text' : 'bad-text'}>
      <span aria-hidden="true">${ringing.length === 0 ? '✓' : '▲'}</span> ${said}
      <small class="quiet"> as of ${clock(at)}</small>
    </h2>
    <${AlarmTable} alarms=${[...ringing, ...alarms.filter(({ ok }) => ok)]} />
  </section>`;
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
