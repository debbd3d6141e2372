import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { distanceKm, EARTH_RADIUS_M } from '../../../engine/domain/distance.ts';

const position = fc.record({
  lat: fc.double({ min: -85, max: 85, noNaN: true }),
  lng: fc.double({ min: -180, max: 180, noNaN: true }),
});

describe('distanceKm', () => {
  it("equals Redis's GEODIST for its own documented example (Palermo, Catania)", () => {
    const palermo = { lat: 38.115556, lng: 13.361389 };
    const catania = { lat: 37.502669, lng: 15.087269 };
    // https://redis.io/docs/latest/commands/geodist/: 166274.1516 m, between rounded positions.
    expect(distanceKm(palermo, catania)).toBeCloseTo(166.2742, 2);
  });

  it('is symmetric, zero to itself, and at most half way around the world', () => {
    fc.assert(
      fc.property(position, position, (a, b) => {
        expect(distanceKm(a, a)).toBe(0);
        expect(distanceKm(a, b)).toBeCloseTo(distanceKm(b, a), 9);
        expect(distanceKm(a, b)).toBeLessThanOrEqual((Math.PI * EARTH_RADIUS_M) / 1000 + 1e-6);
      }),
    );
  });

  it('knows no date line', () => {
    expect(distanceKm({ lat: 0, lng: 179.99 }, { lat: 0, lng: -179.99 })).toBeLessThan(3);
  });
});
