/** The fleet: each driver's state, last known position, and jobs. */
import { html, useEffect, useRef } from '../lib/html.js';
import { STATES } from '../lib/names.js';
import { distance } from '../lib/reasons.js';
import { Link, setParams, useRoute } from '../lib/route.js';
import { clock } from '../lib/time.js';
import { Ago, Empty, Loading, Pill, Refused, Trouble } from '../lib/ui.js';
import { useCall } from '../lib/use-call.js';
import { useWalk } from '../lib/walk.js';
import { kmBetween } from './job/km.js';

/** Reading the list reads every driver to sort them: no more often than people need. */
const EVERY_MS = 10_000;
/** Typing has ended when nothing was typed for this long. */
const TYPED_MS = 250;

export function Page() {
  const { params } = useRoute();
  const [q, state, near, cursor] = ['q', 'state', 'near', 'cursor'].map((name) => params.get(name));
  const reading = useCall('/api/ops/drivers', { q, state, near, cursor }, { everyMs: EVERY_MS });
  const { answer, refusal, at, reload } = reading;
  const clear = () => setParams({ q: null, state: null, near: null, cursor: null });
  const states = state?.split(',').map((one) => STATES[one]?.text ?? one);
  const filter = [q && `“${q}”`, states?.join(', ')].filter(Boolean).join(' and ');
  return html`
    <h1>Drivers</h1>
    <${Filters} q=${q ?? ''} state=${state} near=${near} counts=${answer?.counts ?? null} />
    ${
      refusal &&
      html`<${Trouble} quiet=${answer !== null} onRetry=${reload}>
        ${answer && `As of ${clock(at ?? 0)}. `}<${Refused} refusal=${refusal} />
      <//>`
    }
    ${!answer && !refusal && html`<${Loading} what="Reading the fleet" />`}
    ${
      answer &&
      (answer.drivers.length === 0
        ? html`<${Empty} filter=${filter} onClear=${filter ? clear : undefined}>
          ${filter ? 'No driver fits.' : 'There are no drivers yet. An app makes one when it signs up.'}
        <//>`
        : html`<${List} drivers=${answer.drivers} near=${near} />
          <p class="buttons pages">
            ${
              cursor &&
              html`<button type="button" onClick=${() => setParams({ cursor: null }, { push: true })}>
                First page
              </button>`
            }
            ${
              answer.next_cursor &&
              html`<button type="button" onClick=${() =>
                setParams({ cursor: answer.next_cursor }, { push: true })}>Next page</button>`
            }
          </p>`)
    }`;
}

/**
 * @param {{q: string, state: string | null | undefined, near: string | null | undefined,
 *   counts: Record<string, number> | null}} props
 */
function Filters({ q, state, near, counts }) {
  const chosen = new Set(state?.split(',') ?? []);
  /** @param {string} name */
  const toggle = (name) => {
    if (!chosen.delete(name)) chosen.add(name);
    const names = Object.keys(STATES).filter((one) => chosen.has(one));
    setParams({ state: names.join(',') || null, cursor: null });
  };
  return html`<div class="filters">
    <${Query} q=${q} />
    <div class="buttons" role="group" aria-label="States">
      ${Object.entries(STATES).map(
        ([name, { text, sign, tone }]) => html`<button
        type="button" key=${name} aria-pressed=${chosen.has(name)} onClick=${() => toggle(name)}
      ><${Pill} text=${text} sign=${sign} tone=${tone} /> ${counts ? counts[name] : '…'}</button>`,
      )}
    </div>
    ${
      near &&
      html`<span class="near">Nearest to ${near} first
        <button type="button" onClick=${() => setParams({ near: null, cursor: null })}>By id</button></span>`
    }
  </div>`;
}

/** @param {{q: string}} props */
function Query({ q }) {
  const timer = useRef(/** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined));
  useEffect(() => () => clearTimeout(timer.current), []);
  return html`<input type="search" maxlength="200" aria-label="Driver, by id or name"
    placeholder="Id or name" value=${q}
    onInput=${(/** @type {any} */ event) => {
      clearTimeout(timer.current);
      const text = event.target.value.trim();
      timer.current = setTimeout(() => setParams({ q: text, cursor: null }), TYPED_MS);
    }} />`;
}

/** @param {{drivers: any[], near: string | null | undefined}} props */
function List({ drivers, near }) {
  const list = useWalk('driver');
  const [lat = Number.NaN, lng = Number.NaN] = near?.split(',').map(Number) ?? [];
  return html`<div class="panel"><table class="cards" ref=${list} aria-label="Drivers">
    <thead><tr>
      <th>Driver</th><th>State</th>${near && html`<th class="number">Away</th>`}
      <th class="number">Position</th><th class="number">Jobs</th><th class="number">Phones</th><th>Truck</th>
    </tr></thead>
    <tbody>${drivers.map(
      (driver) => html`<tr key=${driver.id}>
      <td><${Link} data-row to=${`/drivers/${encodeURIComponent(driver.id)}`}>${driver.name ?? driver.id}<//>${' '}
        <span class="id quiet">${driver.id}</span></td>
      <td><${Pill} state=${driver.state} /></td>
      ${near && html`<td class="number">${distance(kmBetween({ lat, lng }, driver))}</td>`}
      <td class="number" data-of="Position"><${Ago} at=${driver.position_at} suffix=" ago" none="none" /></td>
      <td class="number" data-of="Jobs">${driver.jobs_held}</td>
      <td class="number" data-of="Phones">${driver.phones}</td>
      <td data-of="Truck">${driver.truck_type ?? '–'}</td>
    </tr>`,
    )}</tbody>
  </table></div>`;
}
