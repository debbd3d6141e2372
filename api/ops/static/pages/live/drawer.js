/** The drawer: the selection in short, its actions, and a link to its page. */
import { learnName, useFeed } from '../../lib/feed.js';
import { html, useEffect } from '../../lib/html.js';
import { isHeld, isOpen } from '../../lib/names.js';
import { Link, setParams } from '../../lib/route.js';
import { Ago, Loading, Pill, Price, Refused, Trouble } from '../../lib/ui.js';
import { useCall } from '../../lib/use-call.js';
import { Actions as DriverActions } from '../driver/actions.js';
import { Actions as JobActions } from '../job/actions.js';
import { sentenceOf } from './reach.js';

/** How often to read again what the feed does not tell of a driver. */
const EVERY_MS = 5000;

const close = () => setParams({ job: null, driver: null, follow: null });

/**
 * @param {{selection: {jobId: string | null, driverId: string | null}, isFollowing: boolean,
 *   reach: ReadonlyMap<string, import('./reach.js').Reach>}} props
 */
export function Drawer({ selection: { jobId, driverId }, isFollowing, reach }) {
  if (driverId) {
    return html`<${Frame} name="Selected driver">
      <${DriverSummary} key=${driverId} id=${driverId} isFollowing=${isFollowing} />
    <//>`;
  }
  if (!jobId) return null;
  return html`<${Frame} name="Selected job"><${JobSummary} key=${jobId} id=${jobId} reach=${reach.get(jobId)} /><//>`;
}

/** @param {{name: string, children?: unknown}} props */
const Frame = ({ name, children }) =>
  html`<aside class="drawer" aria-label=${name}>
    <button type="button" class="plain close" aria-label="Close" onClick=${close}>✕</button>
    ${children}
  </aside>`;

/** @param {{id: string, reach: import('./reach.js').Reach | undefined}} props */
function JobSummary({ id, reach }) {
  const told = useFeed((feed) => feed.jobs.get(id));
  const named = useFeed((feed) => feed.drivers.get(told?.driver_id ?? '')?.name);
  // A job that is over has left the feed.
  const read = useCall(told ? null : `/api/jobs/${encodeURIComponent(id)}`);
  const job = told ?? read.answer;
  if (!job) {
    if (!read.refusal) return html`<${Loading} what="Reading the job" />`;
    return html`<${Trouble}><${Refused} refusal=${read.refusal} /><//>`;
  }
  const driver = job.driver_id;
  return html`
    <h2>${job.address}</h2>
    <p class="line"><${Pill} status=${job.status} /> <${Price} value=${job.total_price} /></p>
    <${JobActions} job=${job} onDone=${read.reload} />
    <dl class="facts">
      <${Fact} name="Posted"><${Ago} at=${job.created_at} suffix=" ago" /><//>
      ${reach && html`<${Fact} name="Reached">${sentenceOf(reach)}<//>`}
      ${isHeld(job.status) && html`<${Fact} name="Taken"><${Ago} at=${job.accepted_at} suffix=" ago" /><//>`}
      ${
        driver &&
        html`<${Fact} name=${isOpen(job.status) ? 'Reserved for' : 'Driver'}>
          <button type="button" class="link" onClick=${() => setParams({ driver, job: null })}>${named ?? driver}</button>
        <//>`
      }
      ${job.truck_type && html`<${Fact} name="Truck type">${job.truck_type}<//>`}
      ${job.expires_at && html`<${Fact} name="Expires"><${Until} at=${job.expires_at} /><//>`}
      ${job.customer_id && html`<${Fact} name="Customer"><span class="id">${job.customer_id}</span><//>`}
      ${job.notes && html`<${Fact} name="Notes"><span class="notes">${job.notes}</span><//>`}
      ${job.lat === null && html`<${Fact} name="Place">none: offered to every available driver<//>`}
    </dl>
    <p class="ways">
      <${Link} to=${`/jobs/${id}`}>Open the job<//>
      <${Link} to=${`/jobs/${id}`} params=${{ see: 'why' }}>Why<//>
    </p>
    <p class="id quiet">${id}</p>
  `;
}

/** @param {{at: string}} props */
const Until = ({ at }) => html`<time dateTime=${at}>${new Date(at).toLocaleString()}</time>`;

/** @param {{name: string, children?: unknown}} props */
const Fact = ({ name, children }) => html`<div><dt>${name}</dt><dd>${children}</dd></div>`;

/** @param {{id: string, isFollowing: boolean}} props */
function DriverSummary({ id, isFollowing }) {
  const { answer, refusal, reload } = useCall(
    `/api/ops/drivers/${encodeURIComponent(id)}`,
    {},
    { everyMs: EVERY_MS },
  );
  const state = useFeed((feed) => feed.drivers.get(id)?.state);
  const jobs = useFeed((feed) => feed.jobs);
  useEffect(() => learnName(id, answer?.name ?? null), [id, answer?.name]);
  if (!answer) {
    if (!refusal) return html`<${Loading} what="Reading the driver" />`;
    return html`<${Trouble} onRetry=${reload}><${Refused} refusal=${refusal} /><//>`;
  }
  const his = [...jobs.values()].filter(({ driver_id }) => driver_id === id);
  return html`
    <h2>${answer.name ?? id}</h2>
    <p class="line">
      <${Pill} state=${state ?? answer.state} />
      <button type="button" aria-pressed=${isFollowing}
        onClick=${() => setParams({ follow: isFollowing ? null : 1, tab: isFollowing ? undefined : 'map' })}
      >${isFollowing ? 'Following' : 'Follow'}</button>
    </p>
    <${DriverActions} driver=${answer} onDone=${reload} />
    <dl class="facts">
      <${Fact} name="Position"><${Ago} at=${answer.position_at} suffix=" ago" none="never sent" /><//>
      <${Fact} name="Truck type">${answer.truck_type ?? 'none'}<//>
      <${Fact} name="Phones">${answer.phones}<//>
      <${Fact} name="Accepts">${percent(answer.counters.acceptance_rate)}<//>
      <${Fact} name="Jobs">${
        his.length === 0
          ? 'none'
          : his.map(
              (job) =>
                html`<div><button type="button" class="link" onClick=${() => setParams({ job: job.id, driver: null, follow: null })}>${job.address}</button> <${Pill} status=${job.status} /></div>`,
            )
      }<//>
    </dl>
    <p class="ways"><${Link} to=${`/drivers/${id}`}>Open the driver<//></p>
    <p class="id quiet">${id}</p>
  `;
}

/** @param {number | null} rate */
const percent = (rate) => (rate === null ? 'not known yet' : `${Math.round(rate * 100)} %`);
