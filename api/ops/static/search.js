/** `/` searches: any id of a job, a driver or a customer, part of an address or of a driver's name. */
import { get } from './lib/calls.js';
import { html, useEffect, useRef, useState } from './lib/html.js';
import { useKeys } from './lib/keys.js';
import { Link, setParams, useRoute } from './lib/route.js';
import { Ago, Pill, Price, Refused } from './lib/ui.js';

/** Typing has ended when nothing was typed for this long. */
const TYPED_MS = 200;
/** Results of each kind; for more there is the list. */
const SHOWN = 6;
/** Drivers come in the order of their ids; one with exactly this id is among this many. */
const FOUND_MAX = 100;
const USER_ID = /^[A-Za-z0-9_-]{1,64}$/;

/** @typedef {{q: string, jobs: any[], drivers: any[], customers: any[]}} Found */

/** The field in the header, and what it found below it. */
export function Search() {
  const find = useRoute().params.get('find') ?? '';
  const [isHurried, hurry] = useState(false);
  const root = useRef(/** @type {HTMLElement | null} */ (null));
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const { found, refusal } = useFound(find);
  const close = () => setParams({ find: null });
  const open = () => {
    close();
    // Else the keys of the opened page would be typed into the field.
    input.current?.blur();
  };
  const openFirst = () => root.current?.querySelector('a')?.click();
  useKeys([
    { key: '/', what: 'Search any id, address or name', run: () => input.current?.focus() },
    ...(find ? [{ key: 'Escape', what: 'Close the search', run: close }] : []),
  ]);
  useEffect(() => {
    if (find === '' && input.current) input.current.value = '';
  }, [find]);
  // Enter came before the results.
  useEffect(() => {
    if (!isHurried || (!found && !refusal)) return;
    hurry(false);
    openFirst();
  }, [isHurried, found, refusal]);
  /** @param {string} text */
  const type = (text) => {
    hurry(false);
    setParams({ find: text });
  };
  /** @param {string} text */
  const enter = (text) => {
    if (found && text === find) return openFirst();
    setParams({ find: text });
    hurry(text !== '');
  };
  return html`<search ref=${root} class="find" onKeyDown=${(/** @type {KeyboardEvent} */ event) => keys(event, close)}>
    <${Field} find=${find} field=${input} onType=${type} onEnter=${enter} />
    ${
      find &&
      html`<div class="results" role="region" aria-label="Search results" aria-live="polite">
        ${refusal && html`<p><${Refused} refusal=${refusal} /></p>`}
        ${found ? html`<${Results} found=${found} onOpen=${open} />` : !refusal && html`<p class="quiet">Searching…</p>`}
      </div>`
    }
  </search>`;
}

/**
 * Enter opens the first result.
 * @param {{find: string, field: {current: HTMLInputElement | null}, onType: (text: string) => void,
 *   onEnter: (text: string) => void}} props
 */
function Field({ find, field, onType, onEnter }) {
  const timer = useRef(/** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined));
  const read = () => field.current?.value.trim() ?? '';
  useEffect(() => () => clearTimeout(timer.current), []);
  return html`<input ref=${field} type="search" maxlength="200" value=${find} autocomplete="off"
    aria-label="Search any id, address or name" placeholder="Search ( / )"
    onInput=${() => {
      clearTimeout(timer.current);
      timer.current = setTimeout(() => onType(read()), TYPED_MS);
    }}
    onKeyDown=${(/** @type {KeyboardEvent} */ event) => {
      if (event.key !== 'Enter') return;
      event.preventDefault();
      clearTimeout(timer.current);
      onEnter(read());
    }} />`;
}

/**
 * Arrows move among the field and all results; Esc closes.
 * @param {KeyboardEvent} event
 * @param {() => void} close
 */
function keys(event, close) {
  const root = /** @type {HTMLElement} */ (event.currentTarget);
  const stops = /** @type {HTMLElement[]} */ ([...root.querySelectorAll('input, .results a')]);
  const at = stops.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  if (event.key === 'Escape') {
    close();
    /** @type {HTMLElement} */ (document.activeElement).blur();
  } else if (event.key === 'ArrowDown') stops[Math.min(stops.length - 1, at + 1)]?.focus();
  else if (event.key === 'ArrowUp') stops[Math.max(0, at - 1)]?.focus();
  else return;
  event.preventDefault();
}

/** @param {string} q */
function useFound(q) {
  const [found, setFound] = useState(/** @type {Found | null} */ (null));
  const [refusal, setRefusal] = useState(/** @type {unknown} */ (null));
  useEffect(() => {
    if (q === '') return;
    const own = new AbortController();
    setRefusal(null);
    look(q, own.signal).then(setFound, (error) => !own.signal.aborted && setRefusal(error));
    return () => own.abort();
  }, [q]);
  return { found: found?.q === q ? found : null, refusal };
}

/** @param {string} q @param {AbortSignal} signal @returns {Promise<Found>} */
async function look(q, signal) {
  const ask = (/** @type {string} */ path, /** @type {object} */ params) =>
    get(path, { limit: SHOWN, ...params }, signal);
  const [jobs, drivers, customers] = await Promise.all([
    ask('/api/ops/jobs', { q }),
    ask('/api/ops/drivers', { q, limit: FOUND_MAX }),
    USER_ID.test(q) ? ask('/api/ops/jobs', { customer_id: q }) : { jobs: [] },
  ]);
  const [exact, others] = [true, false].map((is) => {
    return drivers.drivers.filter((/** @type {any} */ { id }) => (id === q) === is);
  });
  return {
    q,
    jobs: jobs.jobs,
    drivers: [...exact, ...others].slice(0, SHOWN),
    customers: customers.jobs,
  };
}

/** @param {{found: Found, onOpen: () => void}} props */
function Results({ found, onOpen }) {
  const { q, jobs, drivers, customers } = found;
  if (jobs.length + drivers.length + customers.length === 0) {
    return html`<p role="status">Nothing is called “${q}”: no job, driver or customer has this id, and
      no address or name contains it.</p>`;
  }
  return html`
    <${Group} name="Jobs" rows=${jobs} row=${JobRow} onOpen=${onOpen} />
    <${Group} name="Drivers" rows=${drivers} row=${DriverRow} onOpen=${onOpen} />
    <${Group} name=${`Jobs of customer ${q}`} rows=${customers} row=${JobRow} onOpen=${onOpen} />`;
}

/** @param {{name: string, rows: any[], row: unknown, onOpen: () => void}} props */
const Group = ({ name, rows, row, onOpen }) =>
  rows.length > 0 &&
  html`<section aria-label=${name}><h3>${name}${rows.length === SHOWN && html` <span class="quiet">the first ${SHOWN}</span>`}</h3>
    <ul>${rows.map((one) => html`<li key=${one.id} onClick=${onOpen}><${row} one=${one} /></li>`)}</ul>
  </section>`;

/** @param {{one: any}} props */
const JobRow = ({ one }) => html`<${Link} to=${`/jobs/${encodeURIComponent(one.id)}`}>
  ${one.address} <${Pill} status=${one.status} />
  <span class="quiet"><${Price} value=${one.total_price} /> · <${Ago} at=${one.created_at} suffix=" ago" /></span>
<//>`;

/** @param {{one: any}} props */
const DriverRow = ({ one }) => html`<${Link} to=${`/drivers/${encodeURIComponent(one.id)}`}>
  ${one.name ?? one.id} <span class="id quiet">${one.id}</span> <${Pill} state=${one.state} />
<//>`;
