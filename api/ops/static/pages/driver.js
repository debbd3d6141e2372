/** A driver: what he does now, how he answered, what changed about him, and the actions. */
import { useFeed } from '../lib/feed.js';
import { html, useEffect } from '../lib/html.js';
import { Link } from '../lib/route.js';
import { clock } from '../lib/time.js';
import { Ago, Empty, Loading, Pill, Refused, Trouble } from '../lib/ui.js';
import { useCall } from '../lib/use-call.js';
import { Actions } from './driver/actions.js';
import { Changes, Offers } from './driver/history.js';

/** Counters and offers change with each job. */
const EVERY_MS = 10_000;
/** Statuses in which he holds a job. */
const HIS = 'assigned,accepted,en_route,arrived,started';

/** @param {{id: string}} props */
export function Page({ id }) {
  const driver = useCall(`/api/ops/drivers/${encodeURIComponent(id)}`, {}, { everyMs: EVERY_MS });
  const held = useCall('/api/ops/jobs', { driver_id: id, status: HIS }, { everyMs: EVERY_MS });
  const { answer, refusal, at } = driver;
  const reload = () => {
    void driver.reload();
    void held.reload();
  };
  const told = useFeed((feed) => feed.drivers.get(id)?.state);
  useEffect(() => {
    if (answer && told !== undefined && told !== answer.state) reload();
  }, [told]);
  if (!answer) {
    if (!refusal) return html`<${Loading} what="Reading the driver" />`;
    return html`<${Trouble} onRetry=${reload}><${Refused} refusal=${refusal} /> <span class="id">${id}</span><//>`;
  }
  document.title = `${answer.name ?? id} · Muster`;
  return html`
    <header class="driver-head">
      <h1>${answer.name ?? id}</h1>
      <p class="line">
        <${Pill} state=${answer.state} />
        ${answer.blocked && html`<${Pill} text="Blocked" sign="✕" tone="bad" />`}
        <span class="quiet">position <${Ago} at=${answer.position_at} suffix=" ago" none="never sent" /></span>
      </p>
    </header>
    ${refusal && html`<${Trouble} quiet onRetry=${reload}>As of ${clock(at ?? 0)}. <${Refused} refusal=${refusal} /><//>`}
    <${Actions} driver=${answer} onDone=${reload} />
    <div class="columns">
      <div>
        <${Profile} driver=${answer} />
        <${Counters} counters=${answer.counters} />
        <${Held} reading=${held} />
      </div>
      <div>
        <${Offers} driver=${answer} />
        <${Changes} changes=${answer.changes} />
      </div>
    </div>`;
}

/** @param {{driver: any}} props */
const Profile = ({ driver }) =>
  html`<section class="panel" aria-label="Profile">
    <h2>Profile</h2>
    <dl class="facts">
      <dt>Id</dt><dd class="id">${driver.id}</dd>
      <dt>Truck type</dt><dd>${driver.truck_type ?? 'none'}</dd>
      <dt>Phones</dt><dd>${driver.phones === 0 ? 'none: no push can reach him' : driver.phones}</dd>
      <dt>Jobs held</dt><dd>${driver.jobs_held}</dd>
      <dt>Position</dt><dd>${
        driver.lat === null
          ? 'none'
          : html`${driver.lat.toFixed(5)}, ${driver.lng.toFixed(5)} · <${Link} to="/" params=${{ driver: driver.id }}>on the map<//>`
      }</dd>
    </dl>
  </section>`;

/** In the order in which a job reaches a driver. */
const COUNTED = ['offered', 'delivered', 'accepted', 'declined', 'ignored', 'withdrawn'];

/** @param {{counters: any}} props */
const Counters = ({ counters }) =>
  html`<section class="panel" aria-label="Counters">
    <h2>Last 30 days</h2>
    <dl class="counters">
      ${COUNTED.map((name) => html`<div><dt>${name}</dt><dd>${counters[name]}</dd></div>`)}
      <div><dt>acceptance</dt><dd>${
        counters.acceptance_rate === null ? '–' : `${Math.round(counters.acceptance_rate * 100)} %`
      }</dd></div>
    </dl>
  </section>`;

/** @param {{reading: ReturnType<typeof useCall>}} props */
const Held = ({ reading: { answer, refusal, reload } }) =>
  html`<section class="panel" aria-label="His jobs">
    <h2>His jobs</h2>
    ${refusal && html`<${Trouble} quiet=${answer !== null} onRetry=${reload}><${Refused} refusal=${refusal} /><//>`}
    ${!answer && !refusal && html`<${Loading} />`}
    ${answer && answer.jobs.length === 0 && html`<${Empty}>He holds none.<//>`}
    ${
      answer &&
      answer.jobs.length > 0 &&
      html`<ul class="rows">${answer.jobs.map(
        (/** @type {any} */ job) => html`<li key=${job.id}>
        <${Link} to=${`/jobs/${encodeURIComponent(job.id)}`}>${job.address}<//> <${Pill} status=${job.status} />${' '}
        <span class="quiet"><${Ago} at=${job.accepted_at ?? job.updated_at} /></span>
      </li>`,
      )}</ul>`
    }
  </section>`;
