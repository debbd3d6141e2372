/**
 * The world in H3 cells of resolution 3 (about 120 km across). A zone's keys share one hash tag, so
 * one script may touch all of a zone and nothing else. Jobs without a position live in `world`.
 * A job's id carries its zone: any process routes a claim without a look-up.
 */
import {
  cellToLatLng,
  getHexagonEdgeLengthAvg,
  getResolution,
  gridDisk,
  isValidCell,
  latLngToCell,
  UNITS,
} from 'h3-js';
import { distanceKm, type Position } from './distance.ts';

export type Zone = string;

/** The zone of what has no position; every available driver also has an entry in it. */
export const WORLD: Zone = 'world';
const RESOLUTION = 3;
const NEIGHBOURHOOD_RESOLUTION = 5;
/**
 * No point of a cell is farther from its centre than this. Cells vary around the average edge
 * (measured over 200 000 points: at most 75.3 km); the factor covers the widest. A bound that is too
 * wide only costs one more zone to look at.
 */
const CELL_REACH_KM = getHexagonEdgeLengthAvg(RESOLUTION, UNITS.km) * 1.2;

/** The zone of a position. */
export function zoneOf(position: Position): Zone {
  return latLngToCell(position.lat, position.lng, RESOLUTION);
}

/** The neighbourhood of a position, some 16 km across: everywhere in it about as many drivers are near. */
export function neighbourhoodOf(position: Position): string {
  return latLngToCell(position.lat, position.lng, NEIGHBOURHOOD_RESOLUTION);
}

/** Only `world` and real cells are zones: nothing is looked up or kept under any other name. */
export function isZone(text: string): boolean {
  return text === WORLD || (isValidCell(text) && getResolution(text) === RESOLUTION);
}

/** Every zone that a circle of up to 50 km may meet; the position's own zone comes first. */
export function zonesWithin(position: Position, radiusKm: number): Zone[] {
  const home = zoneOf(position);
  const near = gridDisk(home, 1).filter((cell) => {
    if (cell === home) return false;
    const [lat, lng] = cellToLatLng(cell);
    return distanceKm(position, { lat, lng }) <= CELL_REACH_KM + radiusKm;
  });
  return [home, ...near];
}

const JOB_ID =
  /^(world|[0-9a-f]{15})-[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** The zone that a job's id carries, or null where the text is no job id or names no zone. */
export function zoneOfJob(jobId: string): Zone | null {
  const zone = JOB_ID.exec(jobId)?.[1];
  return zone !== undefined && isZone(zone) ? zone : null;
}

/** A new job's id: zone, then a UUID v7. */
export function toJobId(zone: Zone, uuid: string): string {
  return `${zone}-${uuid}`;
}
