/** Parts that all pages are made of. */
import { html } from './html.js';
import { STATES, STATUSES } from './names.js';
import { clock, duration } from './time.js';
import { useNow } from './use-now.js';

export { Act, Confirm, Refused } from './act.js';

/**
 * A status as word, sign and colour. Takes the status of a job, the state of a driver, or the parts.
 * @param {{status?: string, state?: string, tone?: string, sign?: string, text?: string}} props
 */
export function Pill({ status, state, tone, sign, text }) {
  const known = STATUSES[status ?? ''] ?? STATES[state ?? ''];
  return html`<span class=${`pill ${tone ?? known?.tone ?? 'quiet'}`}>
    <span class="sign" aria-hidden="true">${sign ?? known?.sign ?? '·'}</span>
    ${text ?? known?.text ?? status ?? state}
  </span>`;
}

/**
 * How long ago; the exact time is its title.
 * @param {{at: string | number | null, suffix?: string, none?: string}} props
 */
export function Ago({ at, suffix = '', none = '–' }) {
  const now = useNow();
  if (at === null) return none;
  const ms = typeof at === 'number' ? at : Date.parse(at);
  return html`<time dateTime=${new Date(ms).toISOString()} title=${clock(ms)}>
    ${duration(now - ms)}${suffix}
  </time>`;
}

/** @param {{value: number}} props */
export const Price = ({ value }) =>
  html`<span class="price">$${value.toLocaleString('en-US', {
    minimumFractionDigits: value % 1 === 0 ? 0 : 2,
    maximumFractionDigits: 2,
  })}</span>`;

/** Something is being read; zeros must not be shown meanwhile. @param {{what?: string}} props */
export const Loading = ({ what = 'Loading' }) =>
  html`<p class="loading" role="status"><span class="spinner" aria-hidden="true"></span>${what}…</p>`;

/**
 * Nothing to show, and why: which filter hides it, with a button that clears the filter.
 * @param {{children: unknown, filter?: string, onClear?: () => void}} props
 */
export const Empty = ({ children, filter, onClear }) =>
  html`<div class="empty" role="status">
    <p>${children}</p>
    ${
      filter &&
      html`<p>Only <strong>${filter}</strong> is shown.
        ${onClear && html` <button type="button" onClick=${onClear}>Clear the filter</button>`}</p>`
    }
  </div>`;

/**
 * Something is wrong. `quiet` waits for a pause before screen readers say it.
 * @param {{children: unknown, quiet?: boolean, onRetry?: () => void}} props
 */
export const Trouble = ({ children, quiet = false, onRetry }) =>
  html`<div class="trouble" role=${quiet ? 'status' : 'alert'}>
    <span class="sign" aria-hidden="true">▲</span>
    <div>${children}</div>
    ${onRetry && html`<button type="button" onClick=${onRetry}>Try again</button>`}
  </div>`;
