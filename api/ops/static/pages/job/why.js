/** Why drivers got a job or did not: by reason, online ones first, and for any single driver. */
import { html, useEffect, useRef } from '../../lib/html.js';
import { isOpen, REASONS } from '../../lib/names.js';
import { against, distance } from '../../lib/reasons.js';
import { Link, setParams, useRoute } from '../../lib/route.js';
import { clock } from '../../lib/time.js';
import { Empty, Loading, Refused, Trouble } from '../../lib/ui.js';
import { useCall } from '../../lib/use-call.js';
import { answer } from './answer.js';
import { AskDriver } from './ask-driver.js';
import { count, outcomeOf } from './words.js';

/**
 * @param {{id: string, when: 'wave' | 'now', reading: ReturnType<typeof useCall>, isPlaced: boolean}} props
 *   `isPlaced`: what stands above it on a phone has been read
 */
export function Why({ id, when, reading, isPlaced }) {
  const { answer: explanation, refusal, at, reload } = reading;
  const section = useRef(/** @type {HTMLElement | null} */ (null));
  // A visitor who comes with this question is taken to its answer.
  const isAsked = useRoute().params.get('see') === 'why';
  const isReady = isAsked && isPlaced && (explanation !== null || refusal !== null);
  useEffect(() => {
    if (!isReady || !section.current) return;
    section.current.focus({ preventScroll: true });
    if (section.current.getBoundingClientRect().top > innerHeight / 2) {
      section.current.scrollIntoView();
    }
  }, [isReady]);
  return html`<section ref=${section} class="panel why" aria-label="Why" tabindex="-1" id="why">
    <header>
      <h2>Why</h2>
      <div class="buttons" role="group" aria-label="As of">
        <${When} when=${when} is="wave" text="Latest wave" />
        <${When} when=${when} is="now" text="Now" />
        <button type="button" onClick=${reload}>Look again</button>
      </div>
    </header>
    ${
      refusal &&
      (explanation
        ? html`<${Trouble} quiet>As of ${clock(at ?? 0)}. <${Refused} refusal=${refusal} /><//>`
        : html`<${Trouble} onRetry=${reload}><${Refused} refusal=${refusal} /><//>`)
    }
    <${AskDriver} onAsk=${(/** @type {string} */ driver) => setParams({ driver })} />
    <${About} id=${id} when=${when} asOf=${at} />
    ${explanation ? html`<${Groups} explanation=${explanation} when=${when} />` : !refusal && html`<${Loading} what="Asking why" />`}
  </section>`;
}

/** @param {{when: string, is: 'wave' | 'now', text: string}} props */
const When = ({ when, is, text }) => html`<button
  type="button" aria-pressed=${when === is}
  onClick=${() => setParams({ when: is === 'wave' ? null : is })}
>${text}</button>`;

/**
 * The answer about one driver, named in the URL. It is read again together with the one about all.
 * @param {{id: string, when: 'wave' | 'now', asOf: number | null}} props
 */
function About({ id, when, asOf }) {
  const driver = useRoute().params.get('driver');
  const path = driver === null ? null : `/api/ops/jobs/${encodeURIComponent(id)}/explain`;
  const one = useCall(path, { driver_id: driver, at: when });
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const isAnswered = one.answer !== null;
  // He may have been chosen far below.
  useEffect(() => {
    if (isAnswered) box.current?.scrollIntoView({ block: 'nearest' });
  }, [driver, isAnswered]);
  useEffect(() => {
    if (one.answer) void one.reload();
  }, [asOf]);
  if (driver === null) return null;
  return html`<div ref=${box} class="about" aria-live="polite">
    ${one.answer && html`<p class="sentence">${answer(one.answer, when)}</p>`}
    ${one.refusal && html`<${Refused} refusal=${one.refusal} />`}
    ${!one.answer && !one.refusal && html`<${Loading} what=${`Asking about ${driver}`} />`}
    <p class="buttons">
      <${Link} to=${`/drivers/${encodeURIComponent(driver)}`} class="button">Open ${driver}<//>
      <button type="button" onClick=${() => setParams({ driver: null })}>Close</button>
    </p>
  </div>`;
}

/** @param {{explanation: any, when: 'wave' | 'now'}} props */
function Groups({ explanation, when }) {
  const { considered, others, counts, waves, at, job, complete } = explanation;
  const last = waves.at(-1);
  // In the order of the answer: the first group is the one with the nearest online drivers.
  const groups = [...Map.groupBy(others, (/** @type {any} */ one) => one.reason)];
  const shown = new Set(groups.map(([reason]) => reason));
  const unseen = Object.keys(counts).filter((reason) => !shown.has(reason));
  if (considered.length + others.length === 0) {
    return html`<${Empty}>There are no drivers yet.<//>`;
  }
  return html`<p class="quiet">${
    when === 'wave' && last
      ? `As it was when wave ${last.wave} opened at ${clock(last.opened_at)}.`
      : `As of ${clock(at)}${isOpen(job.status) ? '' : ', as if it were still on offer'}.`
  }${complete ? '' : ' Too many drivers to show all of them: ask about a driver to be sure.'}</p>
  <${Met} considered=${considered} job=${job} />
  ${groups.map(
    ([reason, drivers]) => html`<${Kept} key=${reason} reason=${reason}
    total=${counts[reason] ?? drivers.length} drivers=${drivers} />`,
  )}
  ${unseen.map((reason) => html`<${Kept} key=${reason} reason=${reason} total=${counts[reason]} drivers=${[]} />`)}`;
}

/** The drivers it reached. @param {{considered: any[], job: any}} props */
function Met({ considered, job }) {
  const of = (/** @type {string} */ name) => considered.filter((one) => one[name]).length;
  return html`<details class="reason" open=${considered.length <= OPEN_MAX}>
    <summary><strong>Offered</strong> ${of('offered') === 0 ? 'to nobody' : count(of('offered'), 'driver')}${' '}
      <span class="quiet">${of('delivered')} delivered · ${of('pushed')} pushed</span></summary>
    ${
      considered.length > 0 &&
      html`<table class="cards">
      <thead><tr><th>Driver</th><th class="number">Away</th><th>Waves</th><th>Phone</th><th>Push</th><th>Answer</th></tr></thead>
      <tbody>${considered.map(
        (one) => html`<tr key=${one.driver_id}>
        <td><${Ask} driver=${one} /></td>
        <${Value} of="Away" is="number">${distance(one.distance_km)}<//>
        <${Value} of="Waves">${one.waves.map((/** @type {any} */ { wave }) => wave).join(', ')}<//>
        <${Value} of="Phone">${one.delivered_at && clock(one.delivered_at)}<//>
        <${Value} of="Push">${one.pushes.length > 0 && outcomeOf(one.pushes.at(-1))}<//>
        <${Value} of="Answer">${answerOf(one, job)}<//>
      </tr>`,
      )}</tbody>
    </table>`
    }
  </details>`;
}

/** A cell without a value is left out where rows are cards. @param {any} props */
const Value = ({ of, is, children }) =>
  html`<td class=${children ? is : `${is} none`} data-of=${of}>${children || '–'}</td>`;

/** @param {any} driver @param {any} job */
function answerOf({ driver_id, refused }, job) {
  if (driver_id === job.driver_id && job.accepted_at) return `Took it ${clock(job.accepted_at)}`;
  if (!refused) return null;
  return html`${REASONS[refused.kind]} ${clock(refused.at)}${' '}
    <span class="quiet">${refused.reason}</span>`;
}

/** Longer groups are folded. */
const OPEN_MAX = 25;

/** The drivers whom one reason kept out. @param {{reason: string, total: number, drivers: any[]}} props */
function Kept({ reason, total, drivers }) {
  return html`<details class="reason" open=${drivers.length > 0 && drivers.length <= OPEN_MAX}>
    <summary><strong>${REASONS[reason] ?? reason}</strong> ${count(total, 'driver')}${' '}
      ${drivers.length < total && html`<span class="quiet">the first ${drivers.length} are listed</span>`}</summary>
    <ul class="kept">${drivers.map(
      (one) => html`<li key=${one.driver_id}>
      <${Ask} driver=${one} />
      <span class="number">${one.distance_km === null ? 'no position' : `${distance(one.distance_km)} away`}</span>
      <span>${against(one)}</span>
    </li>`,
    )}</ul>
  </details>`;
}

/** @param {{driver: any}} props */
const Ask = ({ driver: { driver_id: id, name } }) => html`<button type="button" class="link"
  onClick=${() => setParams({ driver: id })}
><span class="hidden-text">Ask about </span>${name ?? id}</button>${name && html` <span class="id quiet">${id}</span>`}`;
