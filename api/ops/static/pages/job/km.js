/** How far a driver is from a job. */

const EARTH_KM = 6371.0088;
const rad = (/** @type {number} */ degrees) => (degrees * Math.PI) / 180;

/**
 * @typedef {{lat: number | null, lng: number | null}} Place
 * @param {Place} a
 * @param {Place} b
 * @returns {number | null} null where one of them has no position
 */
export function kmBetween(a, b) {
  if (a.lat === null || a.lng === null || b.lat === null || b.lng === null) return null;
  const [north, east] = [rad(b.lat - a.lat) / 2, rad(b.lng - a.lng) / 2];
  const h =
    Math.sin(north) ** 2 + Math.cos(rad(a.lat)) * Math.cos(rad(b.lat)) * Math.sin(east) ** 2;
  return 2 * EARTH_KM * Math.asin(Math.min(1, Math.sqrt(h)));
}
