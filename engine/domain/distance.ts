/**
 * Distance, once: haversine with the Earth radius of Redis (`geohash_helper.c`), so that what
 * `GEOSEARCH` finds and what `visible()` decides differ by rounding only.
 */
export interface Position {
  lat: number;
  lng: number;
}

/** Redis's own, in metres; h3-js uses another and disagreed at the edge of the circle. */
export const EARTH_RADIUS_M = 6_372_797.560856;
/** Web Mercator's limit, beyond which Redis GEO stores nothing. */
export const LATITUDE_MAX = 85.05112878;

/** Great-circle distance in kilometres. */
export function distanceKm(a: Position, b: Position): number {
  const toRad = Math.PI / 180;
  const u = Math.sin(((b.lat - a.lat) * toRad) / 2);
  const v = Math.sin(((b.lng - a.lng) * toRad) / 2);
  const h = u * u + Math.cos(a.lat * toRad) * Math.cos(b.lat * toRad) * v * v;
  return (2 * EARTH_RADIUS_M * Math.asin(Math.sqrt(Math.min(1, h)))) / 1000;
}
