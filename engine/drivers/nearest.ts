/**
 * The nearest drivers who may be offered a job: as many as a wave pushes, or all within its radius. The
 * searched circle is sized by how many were near last time, so the cost grows with the offers made and not
 * with the city. Exact although GEO rounds: where a metre decides, exact positions are compared.
 */
import { distanceKm, type Position } from '../domain/distance.ts';
import { neighbourhoodOf, zonesWithin } from '../domain/zones.ts';
import {
  findCandidates,
  GEO_ERROR_KM,
  listCandidates,
  type NearDriver,
  readPositions,
} from '../redis/candidates.ts';
import type { DriverStores } from './parts.ts';

/** Where nothing is known yet: the first circle costs little even in the densest city. */
const FIRST_KM = 1;
/** The smallest circle: a smaller one would save nothing. */
const LEAST_KM = 0.1;
/** How many more are looked for than needed, since drivers are not spread evenly. */
const SPARE = 1.3;
/** The least and the most that a circle grows: the ground beyond may be far denser, or empty. */
const GROWTH_MIN = 1.25;
const GROWTH_MAX = 3;
/** Neighbourhoods and truck types whose radius is remembered, about 1 MB. */
const REMEMBERED_MAX = 10_000;

export interface Search {
  /** Null: wherever they are. */
  position: Position | null;
  radiusKm: number;
  truckType: string | null;
  /** How many are wanted at most, nearest first. */
  wanted: number;
  /** Drivers who must not be offered it. */
  without: ReadonlySet<string>;
}

export interface Nearest {
  /** Nearest first; `km` to a metre. */
  candidates: { driverId: string; km: number }[];
  /** How many were found: all in range when fewer than wanted. */
  count: number;
}

export function createNearest(parts: DriverStores): (search: Search) => Promise<Nearest> {
  const { redis, settings } = parts;
  const staleMs = settings.driverStaleMs;
  /** Neighbourhood and type → the radius that should hold as many drivers as wanted. */
  const remembered = new Map<string, number>();

  function remember(place: string, radiusKm: number): void {
    remembered.delete(place);
    remembered.set(place, Math.max(LEAST_KM, radiusKm));
    if (remembered.size <= REMEMBERED_MAX) return;
    const [oldest] = remembered.keys();
    if (oldest !== undefined) remembered.delete(oldest);
  }

  async function anywhere({ truckType, wanted, without }: Search): Promise<Nearest> {
    const asked = { truckType, wanted: wanted + without.size, staleMs };
    const ids = (await listCandidates(redis, asked)).filter((id) => !without.has(id));
    const candidates = ids.slice(0, wanted).map((driverId) => ({ driverId, km: 0 }));
    return { candidates, count: ids.length };
  }

  /** Everybody in a circle; the edge of the whole search is decided exactly. */
  async function within(search: Search, at: Position, circleKm: number): Promise<NearDriver[]> {
    const edgeKm = search.radiusKm;
    const isWhole = circleKm >= edgeKm;
    const radiusKm = Math.min(circleKm, edgeKm) + GEO_ERROR_KM;
    const exactFromKm = isWhole ? edgeKm - GEO_ERROR_KM : radiusKm + GEO_ERROR_KM;
    const { truckType } = search;
    const found = await Promise.all(
      zonesWithin(at, radiusKm).map((zone) =>
        findCandidates(redis, { zone, truckType, at, radiusKm, staleMs, exactFromKm }),
      ),
    );
    const nearest = new Map<string, NearDriver>();
    for (const driver of found.flat()) {
      const km = driver.exact ? distanceKm(at, driver.exact) : driver.km;
      if (search.without.has(driver.id) || km > edgeKm) continue;
      // A driver between two zones may be in both for a moment.
      if (km < (nearest.get(driver.id)?.km ?? Infinity)) nearest.set(driver.id, { ...driver, km });
    }
    return [...nearest.values()].sort((a, b) => a.km - b.km);
  }

  return async (search) => {
    const { position: at, radiusKm, wanted } = search;
    if (!at) return anywhere(search);
    const place = `${neighbourhoodOf(at)} ${search.truckType ?? ''}`;
    let circleKm = Math.min(remembered.get(place) ?? FIRST_KM, radiusKm);
    for (;;) {
      const found = await within(search, at, circleKm);
      const growth = Math.sqrt((SPARE * wanted) / Math.max(1, found.length));
      const last = found[wanted - 1];
      // Enough when the last wanted driver is nearer than anybody beyond the circle.
      const isEnough = wanted === 0 || (last && last.km <= circleKm - GEO_ERROR_KM);
      if (isEnough || circleKm >= radiusKm) {
        remember(place, circleKm * growth);
        return { candidates: await cut(parts, at, found, wanted), count: found.length };
      }
      circleKm = Math.min(radiusKm, circleKm * Math.min(GROWTH_MAX, Math.max(GROWTH_MIN, growth)));
    }
  };
}

/** The first `wanted` drivers in order; exact positions decide who is last where a metre matters. */
async function cut(
  { redis }: DriverStores,
  at: Position,
  found: readonly NearDriver[],
  wanted: number,
): Promise<Nearest['candidates']> {
  const toCandidate = ({ id, km }: NearDriver) => ({ driverId: id, km });
  const last = found[wanted - 1];
  if (!last || found.length === wanted) return found.slice(0, wanted).map(toCandidate);
  // Both of two distances may be off.
  const isClose = ({ km }: NearDriver) => Math.abs(km - last.km) <= 2 * GEO_ERROR_KM;
  const close = found.filter(isClose);
  const nearer = found.filter((driver) => driver.km < last.km && !isClose(driver));
  if (nearer.length + close.length > wanted) {
    const positions = await readPositions(redis, close);
    for (const [i, driver] of close.entries()) {
      const position = positions.get(driver.id);
      if (position) close[i] = { ...driver, km: distanceKm(at, position) };
    }
    close.sort((a, b) => a.km - b.km);
  }
  return [...nearer, ...close].slice(0, wanted).map(toCandidate);
}
