/** A job: what it is, what happened to it, who was offered it and why, and the actions. */
import { useFeed } from '../lib/feed.js';
import { html, useEffect, useRef } from '../lib/html.js';
import { isHeld, isOpen } from '../lib/names.js';
import { Link, useRoute } from '../lib/route.js';
import { serverNow } from '../lib/time.js';
import { Ago, Loading, Pill, Price, Refused, Trouble } from '../lib/ui.js';
import { useCall, usePoll } from '../lib/use-call.js';
import { Actions } from './job/actions.js';
import { Timeline } from './job/timeline.js';
import { Why } from './job/why.js';

/** Deliveries and pushes are recorded within seconds of a change: when the job is read again. */
const AFTER_MS = [2000, 8000];
/** While a job goes on, a phone may come into range, or a push may come late. */
const ALIVE_EVERY_MS = 15_000;

/** @param {{status: string}} job */
const isAlive = ({ status }) => isOpen(status) || isHeld(status);

/** @param {{id: string}} props */
export function Page({ id }) {
  const when = useRoute().params.get('when') === 'now' ? 'now' : 'wave';
  const path = encodeURIComponent(id);
  const job = useCall(`/api/jobs/${path}`);
  const record = useCall(`/api/jobs/${path}/timeline`);
  const reach = useCall('/api/ops/jobs', { q: id, limit: 1 });
  const why = useCall(`/api/ops/jobs/${path}/explain`, { at: when });
  const reload = () => {
    for (const reading of [job, record, reach, why]) void reading.reload();
  };
  useNews(job.answer, reload);
  // Explaining reads every driver, which is too much if nothing may have changed.
  usePoll(job.answer && isAlive(job.answer) ? ALIVE_EVERY_MS : null, () => {
    for (const reading of [job, record, reach]) if (!reading.isLoading) void reading.reload();
  });
  if (!job.answer) {
    if (!job.refusal) return html`<${Loading} what="Reading the job" />`;
    return html`<${Trouble} onRetry=${reload}><${Refused} refusal=${job.refusal} /> <span class="id">${id}</span><//>`;
  }
  document.title = `${job.answer.address} · Muster`;
  return html`
    <${Head} job=${job.answer} reach=${reach.answer?.jobs[0] ?? null} />
    ${job.refusal && html`<${Trouble} quiet onRetry=${reload}><${Refused} refusal=${job.refusal} /><//>`}
    <${Actions} job=${job.answer} onDone=${reload} />
    <div class="columns">
      ${
        record.answer
          ? html`<${Timeline} at=${record.at} records=${{
              ...{ job: job.answer, events: record.answer.events, explanation: why.answer },
            }} />`
          : html`<section class="panel timeline" aria-label="Timeline"><h2>Timeline</h2>
            ${
              record.refusal
                ? html`<${Trouble} onRetry=${record.reload}><${Refused} refusal=${record.refusal} /><//>`
                : html`<${Loading} what="Reading the timeline" />`
            }
          </section>`
      }
      <${Why} id=${id} when=${when} reading=${why} isPlaced=${record.answer !== null || record.refusal !== null} />
    </div>`;
}

/**
 * Reads the job again when the feed has news of it, and while its record still grows.
 * @param {any} job @param {() => void} reload
 */
function useNews(job, reload) {
  const version = useFeed((feed) => (feed.loaded ? (feed.jobs.get(job?.id)?.version ?? 0) : null));
  // A job that is over has left the feed.
  const isNews =
    job !== null && version !== null && (version === 0 ? isAlive(job) : version > job.version);
  const latest = useRef(reload);
  latest.current = reload;
  useEffect(() => {
    if (isNews) reload();
  }, [isNews, version]);
  useEffect(() => {
    if (!job || serverNow() - Date.parse(job.updated_at) > Math.max(...AFTER_MS)) return;
    const timers = AFTER_MS.map((ms) => setTimeout(() => latest.current(), ms));
    return () => {
      for (const timer of timers) clearTimeout(timer);
    };
  }, [job?.version]);
}

/** @param {{job: any, reach: any}} props */
function Head({ job, reach }) {
  const { driver } = job;
  // A job says more of its driver only once he holds it.
  const named = useFeed((feed) => feed.drivers.get(job.driver_id ?? '')?.name);
  const isWaiting = isOpen(job.status);
  return html`<header class="job-head">
    <h1>${job.address}</h1>
    <p class="line">
      <${Pill} status=${job.status} /> <${Price} value=${job.total_price} />
      <span class="quiet">version ${job.version}</span>
      <span class="quiet">${isWaiting ? 'waiting for' : 'posted'} <${Ago} at=${job.created_at} suffix=${isWaiting ? '' : ' ago'} /></span>
      ${job.accepted_at && html`<span class="quiet">taken <${Ago} at=${job.accepted_at} suffix=" ago" /></span>`}
      ${reach && html`<span>${reach.offered} offered · ${reach.delivered} delivered · ${reach.pushed} pushed</span>`}
    </p>
    <dl class="facts">
      <dt>Job</dt><dd class="id">${job.id}</dd>
      <dt>Customer</dt><dd><${Link} to=${`/jobs/${job.id}`} params=${{ find: job.customer_id }}>${job.customer_id}<//></dd>
      ${
        job.driver_id &&
        html`<dt>${job.status === 'assigned' ? 'Reserved for' : 'Driver'}</dt>
        <dd><${Link} to=${`/drivers/${encodeURIComponent(job.driver_id)}`}>${driver?.name ?? named ?? job.driver_id}<//>
          ${driver && html` <span class="quiet">${cardOf(driver)}</span>`}</dd>`
      }
      ${job.truck_type && html`<dt>Truck type</dt><dd>${job.truck_type}</dd>`}
      ${job.notes && html`<dt>Notes</dt><dd class="notes">${job.notes}</dd>`}
      ${job.expires_at && html`<dt>Expires</dt><dd>${new Date(job.expires_at).toLocaleString()}</dd>`}
      <dt>Position</dt>
      <dd>${
        job.lat === null
          ? 'none: offered to every driver, wherever he is'
          : html`${job.lat}, ${job.lng} · <${Link} to="/" params=${{ job: job.id }}>on the map<//> · <${Link} to="/drivers" params=${{ near: `${job.lat},${job.lng}` }}>drivers near it<//>`
      }</dd>
    </dl>
  </header>`;
}

/** @param {any} driver */
const cardOf = ({ id, truck_type, avg_rating, total_jobs }) =>
  [id, truck_type, avg_rating !== null && `★ ${avg_rating}`, `${total_jobs} completed`]
    .filter(Boolean)
    .join(' · ');
