/** The queue: open jobs, longest untaken first, each with how many drivers it has reached. */
import { html, useEffect, useRef } from '../../lib/html.js';
import { STATUSES } from '../../lib/names.js';
import { setParams } from '../../lib/route.js';
import { Ago, Empty, Pill, Price } from '../../lib/ui.js';
import { sentenceOf } from './reach.js';

/** @typedef {import('../../lib/feed.js').Job} Job */
/** @typedef {import('./reach.js').Reach} Reach */

/** Nobody reads further; the search finds the others. */
const SHOWN_MAX = 200;
const FILTERS = ['pending', 'confirmed', 'assigned'];

/**
 * @param {{jobs: Job[], reach: ReadonlyMap<string, Reach>, selectedId: string | null, q: string, status: string}} props
 */
export function Queue({ jobs, reach, selectedId, q, status }) {
  const shown = jobs.slice(0, SHOWN_MAX);
  const filter = [q && `“${q}”`, STATUSES[status]?.text].filter(Boolean).join(', ');
  return html`<section class="queue" aria-labelledby="queue-title">
    <header>
      <h2 id="queue-title">Open jobs <span class="count">${jobs.length}</span></h2>
      <${Filters} q=${q} status=${status} />
    </header>
    ${
      jobs.length === 0 &&
      html`<${Empty} filter=${filter} onClear=${() => setParams({ q: null, status: null })}>
        ${filter ? 'No open job fits.' : 'No open jobs: every job has a driver.'}
      <//>`
    }
    <ul aria-label="Open jobs">
      ${shown.map(
        (job) =>
          html`<${Row} key=${job.id} job=${job} reach=${reach.get(job.id)} isSelected=${job.id === selectedId} />`,
      )}
    </ul>
    ${jobs.length > SHOWN_MAX && html`<p class="more quiet">And ${jobs.length - SHOWN_MAX} younger ones.</p>`}
  </section>`;
}

/** @param {{q: string, status: string}} props */
const Filters = ({ q, status }) =>
  html`<div class="queue-filters">
    <input type="search" aria-label="Filter by address or id" placeholder="Filter by address or id" value=${q}
      onInput=${(/** @type {any} */ { target }) => setParams({ q: target.value })} />
    <select aria-label="Filter by status" value=${status}
      onChange=${(/** @type {any} */ { target }) => setParams({ status: target.value })}>
      <option value="">All open</option>
      ${FILTERS.map((name) => html`<option value=${name} selected=${name === status}>${STATUSES[name]?.text}</option>`)}
    </select>
  </div>`;

/** @param {{job: Job, reach: Reach | undefined, isSelected: boolean}} props */
function Row({ job, reach, isSelected }) {
  const row = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    if (isSelected) row.current?.scrollIntoView({ block: 'nearest' });
  }, [isSelected]);
  const select = () => setParams({ job: job.id, driver: null, follow: null });
  return html`<li>
    <button type="button" ref=${row} class="job-row" aria-current=${isSelected ? 'true' : undefined} onClick=${select}>
      <span class="address">${job.address}</span>
      <span class="waits"><span class="hidden-text">waits </span><${Ago} at=${job.created_at} /></span>
      <span class="job-line"><${Pill} status=${job.status} /> <${Price} value=${job.total_price} />
        ${job.truck_type && html` <span class="quiet">${job.truck_type}</span>`}</span>
      <span class=${`reach ${reach?.offered === 0 ? 'none' : ''}`}>${reach ? sentenceOf(reach) : '…'}</span>
    </button>
  </li>`;
}
