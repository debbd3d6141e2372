/** Web Mercator: the world is a square whose sides are 1, from the north-west. */

const RAD = Math.PI / 180;
/** The latitude at which the square ends. */
export const LAT_MAX = 85.0511;
/** The radius by which the server measures distances. */
const EARTH_RADIUS_KM = 6372.797560856;
/** Corners of a drawn circle: its edge is off by a thousandth of its radius at most. */
const CIRCLE_CORNERS = 72;

/** @param {number} lng */
export const toX = (lng) => lng / 360 + 0.5;

/** @param {number} lat */
export function toY(lat) {
  const sine = Math.sin(Math.max(-LAT_MAX, Math.min(LAT_MAX, lat)) * RAD);
  return 0.5 - Math.log((1 + sine) / (1 - sine)) / (4 * Math.PI);
}

/** @param {number} x */
export const toLng = (x) => (x - 0.5) * 360;

/** @param {number} y */
export const toLat = (y) => Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) / RAD;

/** How many kilometres the whole width of the square is at a latitude. @param {number} lat */
export const worldWidthKm = (lat) => 2 * Math.PI * EARTH_RADIUS_KM * Math.cos(lat * RAD);

/**
 * The places at one distance from another, as `[x, y, x, y, …]`.
 * @param {{lat: number, lng: number}} centre
 * @param {number} km
 */
export function circle(centre, km) {
  const reach = km / EARTH_RADIUS_KM;
  const lat = centre.lat * RAD;
  const points = new Float64Array(2 * CIRCLE_CORNERS);
  for (let i = 0; i < CIRCLE_CORNERS; i++) {
    const bearing = (i / CIRCLE_CORNERS) * 2 * Math.PI;
    const sine =
      Math.sin(lat) * Math.cos(reach) + Math.cos(lat) * Math.sin(reach) * Math.cos(bearing);
    const east = Math.atan2(
      Math.sin(bearing) * Math.sin(reach) * Math.cos(lat),
      Math.cos(reach) - Math.sin(lat) * sine,
    );
    points[2 * i] = toX(centre.lng + east / RAD);
    points[2 * i + 1] = toY(Math.asin(sine) / RAD);
  }
  return points;
}
