/** A driver's offers and their ends; what changed about him, by whom and why. */
import { html } from '../../lib/html.js';
import { Link } from '../../lib/route.js';
import { clock, duration } from '../../lib/time.js';
import { Empty, Pill } from '../../lib/ui.js';

/** @type {Readonly<Record<string, {text: string, sign: string, tone: string}>>} */
const OUTCOMES = {
  open: { text: 'Open', sign: '○', tone: 'open' },
  accepted: { text: 'Taken by him', sign: '✓', tone: 'good' },
  released: { text: 'Given back', sign: '↩', tone: 'warn' },
  declined: { text: 'Declined', sign: '✕', tone: 'warn' },
  ignored: { text: 'Expired untaken', sign: '◔', tone: 'quiet' },
  withdrawn: { text: 'Another had it, or cancelled', sign: '–', tone: 'quiet' },
};

/** @param {{driver: any}} props */
export const Offers = ({ driver }) =>
  html`<section class="panel" aria-label="Last offers">
    <h2>Last offers</h2>
    ${
      driver.offers.length === 0
        ? html`<${Empty}>None in the last 30 days. A job's page says why he did not get it.<//>`
        : html`<table class="cards" aria-label="Offers, newest first">
          <thead><tr><th>Job</th><th>Offered</th><th class="number">Wave</th><th>Phone</th><th>Became</th><th>Explained</th></tr></thead>
          <tbody>${driver.offers.map(
            (/** @type {any} */ offer) => html`<tr>
            <td><${Link} to=${`/jobs/${encodeURIComponent(offer.job_id)}`}>${offer.address}<//></td>
            <td data-of="Offered">${clock(offer.offered_at)}</td>
            <td class="number" data-of="Wave">${offer.wave}</td>
            <td data-of="Phone">${reached(offer)}</td>
            <td><${Pill} ...${OUTCOMES[offer.outcome] ?? { text: offer.outcome }} /></td>
            <td><${Link} to=${`/jobs/${encodeURIComponent(offer.job_id)}`} params=${{ driver: driver.id }}
              aria-label=${`Why, of the offer of ${clock(offer.offered_at)}`}>Why<//></td>
          </tr>`,
          )}</tbody>
        </table>`
    }
  </section>`;

/** @param {any} offer */
function reached({ offered_at, delivered_at }) {
  if (delivered_at === null) return 'not reached';
  const ms = Date.parse(delivered_at) - Date.parse(offered_at);
  // A phone that came within reach of an earlier wave had the job before the later one opened.
  if (ms < 0) return 'had it before';
  return ms < 1000 ? `after ${ms} ms` : `after ${duration(ms)}`;
}

/** @type {Readonly<Record<string, string>>} */
const WHAT = {
  approval_status: 'Approval',
  truck_type: 'Truck type',
};

/** @param {{changes: any[]}} props */
export const Changes = ({ changes }) =>
  html`<section class="panel" aria-label="History">
    <h2>History</h2>
    ${
      changes.length === 0
        ? html`<${Empty}>Nothing is on record.<//>`
        : html`<table class="cards" aria-label="Changes, newest first">
          <thead><tr><th>When</th><th>What</th><th>By</th></tr></thead>
          <tbody>${changes.filter(isNews).map(
            (change) => html`<tr>
            <td>${clock(change.at)}</td>
            <td>${saidOf(change)}${change.reason && html` <span class="quiet">${change.reason}</span>`}</td>
            <td class="id">${change.by}</td>
          </tr>`,
          )}</tbody>
        </table>`
    }
  </section>`;

/** Leaves out that a new driver is no operator. @param {any} change */
const isNews = ({ what, from, to }) => what !== 'is_operator' || from !== null || to === 'true';

/** @param {any} change */
function saidOf({ what, from, to }) {
  if (what === 'online') return to === 'online' ? 'Came online' : 'Went offline';
  if (what === 'is_operator') return to === 'true' ? 'Is an operator now' : 'Is no operator';
  if (what === 'heard' && from && to) {
    return `Heard of again after ${duration(Date.parse(to) - Date.parse(from))}`;
  }
  const named = WHAT[what] ?? what;
  return from === null ? `${named}: ${to}` : `${named}: ${from} → ${to ?? 'none'}`;
}
