/** Chooses the driver for whom a job is reserved: near ones first, or by id or name. */
import { act } from '../../lib/calls.js';
import { html, useEffect, useRef, useState } from '../../lib/html.js';
import { useModal } from '../../lib/modal.js';
import { distance } from '../../lib/reasons.js';
import { Ago, Empty, Loading, Pill, Refused } from '../../lib/ui.js';
import { useCall } from '../../lib/use-call.js';
import { kmBetween } from './km.js';

const SHOWN = 30;
/** Typing has ended when nothing was typed for this long. */
const TYPED_MS = 200;
/** Only drivers in these states may be given a job. */
const APPROVED = 'available,busy,stale,offline';

/** @param {{job: any, onDone: () => void, onClose: () => void}} props */
export function Assign({ job, onDone, onClose }) {
  const dialog = useModal();
  const [q, setQ] = useState('');
  const [refusal, setRefusal] = useState(/** @type {{id: string, why: unknown} | null} */ (null));
  const [running, setRunning] = useState('');
  const near = job.lat === null ? null : `${job.lat},${job.lng}`;
  const {
    answer,
    refusal: unread,
    reload,
  } = useCall('/api/ops/drivers', {
    ...{ q, near, limit: SHOWN },
    state: q === '' ? 'available,busy,stale' : APPROVED,
  });
  /** @param {string} id */
  const assign = async (id) => {
    setRunning(id);
    setRefusal(null);
    try {
      await act('POST', `/api/ops/jobs/${encodeURIComponent(job.id)}/assign`, { driver_id: id });
      onClose();
      onDone();
    } catch (why) {
      setRefusal({ id, why });
    } finally {
      setRunning('');
    }
  };
  const drivers = answer?.drivers ?? [];
  const first = drivers.find((/** @type {any} */ { id }) => id === q) ?? drivers[0];
  return html`<dialog ref=${dialog} class="assign" aria-label="Assign a driver" onClose=${onClose}>
    <form onSubmit=${(/** @type {Event} */ event) => {
      event.preventDefault();
      if (first) void assign(first.id);
    }}>
      <h2>Assign a driver</h2>
      <p class="quiet">Only he may accept it then; his decline opens it to all again.</p>
      <${Query} onQuery=${setQ} />
    </form>
    <div class="choices" onKeyDown=${walk}>
      ${unread && html`<${Refused} refusal=${unread} /> <button type="button" onClick=${reload}>Try again</button>`}
      ${!answer && !unread && html`<${Loading} what="Looking for drivers" />`}
      ${
        answer &&
        drivers.length === 0 &&
        html`<${Empty}>${
          q === ''
            ? 'Nobody is online. Type an id or a name.'
            : `No approved driver is called “${q}”.`
        }<//>`
      }
      <ul>${drivers.map(
        (/** @type {any} */ driver) => html`<li key=${driver.id}>
        <button type="button" disabled=${running !== ''}
          class=${driver === first ? 'first' : ''} onClick=${() => assign(driver.id)}>
          <span class="hidden-text">Assign ${driver.id}: </span>
          <strong>${driver.name ?? driver.id}</strong> <span class="id">${driver.id}</span>
          <${Pill} state=${driver.state} />
          <span class="quiet">${[
            distance(kmBetween(job, driver)),
            driver.truck_type,
            driver.jobs_held > 0 && `holds ${driver.jobs_held}`,
          ]
            .filter(Boolean)
            .join(
              ' · ',
            )} · seen <${Ago} at=${driver.position_at} suffix=" ago" none="never" /></span>
        </button>
        ${refusal && refusal.id === driver.id && html`<${Refused} refusal=${refusal.why} />`}
      </li>`,
      )}</ul>
    </div>
    <p class="buttons"><button type="button" onClick=${onClose}>Close</button></p>
  </dialog>`;
}

/** @param {{onQuery: (q: string) => void}} props */
function Query({ onQuery }) {
  const timer = useRef(/** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined));
  useEffect(() => () => clearTimeout(timer.current), []);
  return html`<input type="search" autofocus maxlength="200" aria-label="Driver, by id or name"
    placeholder="Near ones first; or type an id or a name"
    onInput=${(/** @type {any} */ event) => {
      clearTimeout(timer.current);
      const q = event.target.value.trim();
      timer.current = setTimeout(() => onQuery(q), TYPED_MS);
    }} />`;
}

/** Up and down among the drivers. @param {KeyboardEvent} event */
function walk(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const list = /** @type {HTMLElement} */ (event.currentTarget);
  if (!step) return;
  event.preventDefault();
  const buttons = [...list.querySelectorAll('button')];
  const at = buttons.indexOf(/** @type {HTMLButtonElement} */ (document.activeElement));
  buttons[Math.max(0, at + step)]?.focus();
}
