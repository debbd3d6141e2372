/** The part of the world in which a fleet is. */

/** Of the drivers that are left out at each side: one phone that says 0,0 must not move the map. */
const ASIDE = 0.01;

/**
 * The smallest box around nearly all places, also over the antimeridian; null when there are none.
 * @param {readonly {lat: number, lng: number}[]} places
 * @returns {import('./camera.js').Bounds | null}
 */
export function boundsOf(places) {
  if (places.length === 0) return null;
  const lats = places.map(({ lat }) => lat).sort((a, b) => a - b);
  const lngs = eastwards(places.map(({ lng }) => lng).sort((a, b) => a - b));
  const aside = Math.floor(places.length * ASIDE);
  const at = (/** @type {number[]} */ sorted, /** @type {number} */ i) =>
    /** @type {number} */ (sorted.at(i));
  return {
    west: at(lngs, aside),
    east: at(lngs, -1 - aside),
    south: at(lats, aside),
    north: at(lats, -1 - aside),
  };
}

/** Begun after the widest gap, so that what lies on both sides of the antimeridian is together. @param {number[]} sorted */
function eastwards(sorted) {
  let widest = /** @type {number} */ (sorted[0]) + 360 - /** @type {number} */ (sorted.at(-1));
  let start = 0;
  for (let i = 1; i < sorted.length; i++) {
    const gap = /** @type {number} */ (sorted[i]) - /** @type {number} */ (sorted[i - 1]);
    if (gap <= widest) continue;
    widest = gap;
    start = i;
  }
  return [...sorted.slice(start), ...sorted.slice(0, start).map((lng) => lng + 360)];
}
