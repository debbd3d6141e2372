/** Counts positions by H3 cell: how a fleet is shown that is too large to draw driver by driver. */
import { cellToBoundary, getHexagonAreaAvg, isValidCell, latLngToCell, UNITS } from 'h3-js';
import type { Position } from './distance.ts';

/** West, south, east, north, in degrees; west is greater than east where it crosses the antimeridian. */
export type Box = readonly [west: number, south: number, east: number, north: number];

/** From about 1 km across to about 1 100 km across. */
const [COARSEST, FINEST] = [1, 8];
/** Most cells on a screen: more would be dots again. */
const CELLS_MAX = 1000;
const KM_PER_DEGREE = 111.2;

export function isInBox({ lat, lng }: Position, [west, south, east, north]: Box): boolean {
  if (lat < south || lat > north) return false;
  return west <= east ? lng >= west && lng <= east : lng >= west || lng <= east;
}

/** The finest resolution at which no more cells lie in a box than a screen can show. */
export function resolutionFor([west, south, east, north]: Box): number {
  const width = west <= east ? east - west : 360 - west + east;
  const cosine = Math.cos(((south + north) / 2) * (Math.PI / 180));
  const area = width * KM_PER_DEGREE * cosine * (north - south) * KM_PER_DEGREE;
  let resolution = FINEST;
  while (resolution > COARSEST && area / getHexagonAreaAvg(resolution, UNITS.km2) > CELLS_MAX) {
    resolution--;
  }
  return resolution;
}

export function cellOf({ lat, lng }: Position, resolution: number): string {
  return latLngToCell(lat, lng, resolution);
}

/** The corners of a cell, `[lng, lat, lng, lat, …]`; null where the text names no cell. */
export function outlineOf(cell: string): number[] | null {
  return isValidCell(cell) ? cellToBoundary(cell).flatMap(([lat, lng]) => [lng, lat]) : null;
}
