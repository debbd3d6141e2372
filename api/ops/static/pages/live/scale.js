/** The scale bar: a round distance at the scale of the map. */
import { html } from '../../lib/html.js';

/** The longest bar. */
const LONGEST_PX = 110;

/** @param {{kmPerPx: number}} props */
export function Scale({ kmPerPx }) {
  const most = LONGEST_PX * kmPerPx;
  const unit = 10 ** Math.floor(Math.log10(most));
  const km = [5, 2, 1].map((times) => times * unit).find((round) => round <= most) ?? unit;
  const text = km >= 1 ? `${km} km` : `${Math.round(km * 1000)} m`;
  return html`<div class="scale" style=${{ width: `${km / kmPerPx}px` }}>${text}</div>`;
}
