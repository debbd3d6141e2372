/** The part of the world in which a fleet is. */

/** The share of drivers left out at each side: one phone that says 0,0 must not move the map. */
const ASIDE = 0.01;

/**
 * The smallest box around nearly all things, even across the antimeridian; null when none has a place.
 * @param {readonly {lat: number | null, lng: number | null}[]} things
 * @returns {import('./camera.js').Bounds | null}
 */
export function boundsOf(things) {
  const lats = things.flatMap(({ lat }) => lat ?? []).sort((a, b) => a - b);
  const lngs = things.flatMap(({ lng }) => lng ?? []).sort((a, b) => a - b);
  if (lats.length === 0) return null;
  const along = eastwards(lngs);
  const aside = Math.floor(lats.length * ASIDE);
  const at = (/** @type {number[]} */ sorted, /** @type {number} */ i) =>
    /** @type {number} */ (sorted.at(i));
  return {
    west: at(along, aside),
    east: at(along, -1 - aside),
    south: at(lats, aside),
    north: at(lats, -1 - aside),
  };
}

/** Starts after the widest gap, so that both sides of the antimeridian stay together. @param {number[]} sorted */
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
