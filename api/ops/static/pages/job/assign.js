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
  const [isHurried, hurry] = useState(false);
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
  /** @type {any[]} */
  const drivers = answer?.drivers ?? [];
  const exact = drivers.find(({ id }) => id === q);
  const first = exact ?? drivers[0];
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
  /** @param {string} text */
  const type = (text) => {
    hurry(false);
    setQ(text);
  };
  /** @param {string} text */
  const enter = (text) => {
    if (!answer || text !== q) {
      setQ(text);
      hurry(text !== '');
    } else if (first && running === '') void assign(first.id);
  };
  // Enter came before these drivers were on the page: only one of whom there is no doubt gets the job.
  useEffect(() => {
    if (!isHurried || (!answer && !unread)) return;
    hurry(false);
    if (exact || drivers.length === 1) void assign(first.id);
  }, [isHurried, answer, unread]);
  return html`<dialog ref=${dialog} class="assign" aria-label="Assign a driver" onClose=${onClose} onKeyDown=${walk}>
    <${Query} onType=${type} onEnter=${enter} />
    <div class="choices">
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
        (driver) => html`<li key=${driver.id}>
        <${Choice} job=${job} driver=${driver} isFirst=${driver === first}
          isRunning=${running !== ''} onChoose=${() => assign(driver.id)} />
        ${refusal && refusal.id === driver.id && html`<${Refused} refusal=${refusal.why} />`}
      </li>`,
      )}</ul>
    </div>
    <p class="buttons"><button type="button" onClick=${onClose}>Close</button></p>
  </dialog>`;
}

/** @param {{onType: (q: string) => void, onEnter: (q: string) => void}} props */
function Query({ onType, onEnter }) {
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const timer = useRef(/** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined));
  const read = () => input.current?.value.trim() ?? '';
  useEffect(() => () => clearTimeout(timer.current), []);
  /** @param {Event} event */
  const enter = (event) => {
    event.preventDefault();
    clearTimeout(timer.current);
    onEnter(read());
  };
  return html`<form onSubmit=${enter}>
    <h2>Assign a driver</h2>
    <p class="quiet">Only he may accept it then; his decline opens it to all again.</p>
    <input ref=${input} type="search" autofocus maxlength="200" aria-label="Driver, by id or name"
      placeholder="Near ones first; or type an id or a name"
      onInput=${() => {
        clearTimeout(timer.current);
        timer.current = setTimeout(() => onType(read()), TYPED_MS);
      }} />
  </form>`;
}

/**
 * @param {{job: any, driver: any, isFirst: boolean, isRunning: boolean, onChoose: () => void}} props
 */
function Choice({ job, driver, isFirst, isRunning, onChoose }) {
  const facts = [
    distance(kmBetween(job, driver)),
    driver.truck_type,
    driver.jobs_held > 0 && `holds ${driver.jobs_held}`,
  ].filter(Boolean);
  return html`<button type="button" disabled=${isRunning} class=${isFirst ? 'first' : ''} onClick=${onChoose}>
    <span class="hidden-text">Assign ${driver.id}: </span>
    <strong>${driver.name ?? driver.id}</strong> <span class="id">${driver.id}</span>
    <${Pill} state=${driver.state} />
    <span class="quiet">${facts.join(' · ')} · seen <${Ago} at=${driver.position_at} suffix=" ago" none="never" /></span>
  </button>`;
}

/** Up and down among the field and the drivers. @param {KeyboardEvent} event */
function walk(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const dialog = /** @type {HTMLElement} */ (event.currentTarget);
  if (!step) return;
  event.preventDefault();
  const stops = /** @type {HTMLElement[]} */ ([
    ...dialog.querySelectorAll('input, .choices li button'),
  ]);
  const at = stops.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  stops[Math.max(0, at + step)]?.focus();
}
