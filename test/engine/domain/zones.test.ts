import fc from 'fast-check';
import { latLngToCell } from 'h3-js';
import { describe, expect, it } from 'vitest';
import {
  isZone,
  toJobId,
  WORLD,
  zoneOf,
  zoneOfJob,
  zonesWithin,
} from '../../../engine/domain/zones.ts';
import { uuidV7 } from '../../../engine/jobs/post.ts';

/** A point `km` away from another in some direction, on the engine's sphere. */
function pointAt(from: { lat: number; lng: number }, km: number, bearing: number) {
  const d = km / 6372.797560856;
  const lat1 = (from.lat * Math.PI) / 180;
  const lat2 = Math.asin(
    Math.sin(lat1) * Math.cos(d) + Math.cos(lat1) * Math.sin(d) * Math.cos(bearing),
  );
  const dLng = Math.atan2(
    Math.sin(bearing) * Math.sin(d) * Math.cos(lat1),
    Math.cos(d) - Math.sin(lat1) * Math.sin(lat2),
  );
  const lng = from.lng + (dLng * 180) / Math.PI;
  return { lat: (lat2 * 180) / Math.PI, lng: ((lng + 540) % 360) - 180 };
}

describe('zones', () => {
  it('finds the zone of every point of a circle, wherever the circle lies', () => {
    const centre = fc.record({
      lat: fc.double({ min: -80, max: 80, noNaN: true }),
      lng: fc.double({ min: -180, max: 180, noNaN: true }),
    });
    const km = fc.double({ min: 0, max: 51, noNaN: true });
    const bearing = fc.double({ min: 0, max: 2 * Math.PI, noNaN: true });
    fc.assert(
      fc.property(centre, km, bearing, (here, away, direction) => {
        const there = pointAt(here, away, direction);
        expect(zonesWithin(here, 51)).toContain(zoneOf(there));
      }),
      { numRuns: 2000 },
    );
  });

  it('names the own zone first and stays small for a small circle', () => {
    const here = { lat: 37.77, lng: -122.41 };
    expect(zonesWithin(here, 30)[0]).toBe(latLngToCell(37.77, -122.41, 3));
    expect(zonesWithin(here, 30).length).toBeLessThanOrEqual(7);
  });

  it('reads the zone from a job id, and nothing from anything else', () => {
    const id = toJobId(WORLD, uuidV7(Date.now()));
    expect(zoneOfJob(id)).toBe('world');
    expect(id.length).toBeLessThanOrEqual(64);
    const zone = zoneOf({ lat: 37.77, lng: -122.41 });
    expect(zoneOfJob(toJobId(zone, uuidV7(Date.now())))).toBe(zone);
    const uuid = id.slice('world-'.length);
    const finer = latLngToCell(37.77, -122.41, 4);
    for (const noZone of ['fffffffffffffff', '000000000000000', finer, `${zone.slice(0, -1)}0`]) {
      expect(isZone(noZone)).toBe(false);
      expect(zoneOfJob(toJobId(noZone, uuid))).toBeNull();
    }
    for (const garbage of ['', 'x', '../..', `${id} `, `{${id}}`, id.toUpperCase(), `${id}\n`]) {
      expect(zoneOfJob(garbage)).toBeNull();
    }
  });

  it('makes ids that sort by time', () => {
    expect(uuidV7(1000) < uuidV7(2000)).toBe(true);
  });
});
