import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { distanceKm } from '../../../engine/domain/distance.ts';
import { JOB_STATUSES } from '../../../engine/domain/job.ts';
import {
  type DriverState,
  hiddenReason,
  type OpenJob,
  visible,
} from '../../../engine/domain/visibility.ts';

const NOW = 1_000_000;
const rules = { driverStaleMs: 120_000, driverMaxActiveJobs: 2 };
const driver: DriverState = {
  id: 'd1',
  rev: 1,
  online: true,
  approved: true,
  isOperator: false,
  truckType: 'van',
  activeJobs: 0,
  position: { lat: 37.77, lng: -122.41 },
  seenAt: NOW - 1000,
};
const job: OpenJob = {
  id: 'j1',
  status: 'pending',
  version: 1,
  wave: 1,
  position: { lat: 37.8, lng: -122.4 },
  radiusKm: 30,
  truckType: null,
  reservedFor: null,
  expiresAt: null,
  refused: new Map(),
};
const reason = (d: Partial<DriverState>, j: Partial<OpenJob> = {}) =>
  hiddenReason({ ...driver, ...d }, { ...job, ...j }, NOW, rules);

describe('who sees a job', () => {
  it('is an available driver in range with the right truck', () => {
    expect(visible(driver, job, NOW, rules)).toBe(true);
    expect(reason({}, { truckType: 'van' })).toBeNull();
    expect(reason({}, { status: 'confirmed' })).toBeNull();
  });

  it.each<[string, Partial<DriverState>, Partial<OpenJob>]>([
    ['not_approved', { approved: false }, {}],
    ['is_operator', { isOperator: true }, {}],
    ['offline', { online: false }, {}],
    ['stale', { seenAt: NOW - 120_001 }, {}],
    ['busy', { activeJobs: 2 }, {}],
    ['closed', {}, { status: 'accepted' }],
    ['expired', {}, { expiresAt: NOW }],
    ['declined', {}, { refused: new Map([['d1', 'declined']]) }],
    ['released', {}, { refused: new Map([['d1', 'released']]) }],
    ['reserved', {}, { status: 'assigned', reservedFor: 'd2' }],
    ['truck_type', {}, { truckType: 'flatbed' }],
    ['truck_type', { truckType: null }, { truckType: 'flatbed' }],
    ['no_position', { position: null }, {}],
    ['out_of_range', { position: { lat: 38.5, lng: -122.41 } }, {}],
  ])('is not: %s', (expected, d, j) => {
    expect(reason(d, j)).toBe(expected);
  });

  it('is everybody for a job without a position, also who has none himself', () => {
    expect(reason({ position: null }, { position: null })).toBeNull();
  });

  it('is the driver for whom it is reserved, whatever his truck', () => {
    expect(reason({}, { status: 'assigned', reservedFor: 'd1', truckType: 'flatbed' })).toBeNull();
  });

  it('has no limit of jobs when the limit is 0', () => {
    const unlimited = { ...rules, driverMaxActiveJobs: 0 };
    expect(visible({ ...driver, activeJobs: 99 }, job, NOW, unlimited)).toBe(true);
  });

  it('counts the very edge of the radius as inside and a metre more as outside', () => {
    const metre = 1 / 111_226.3;
    const edge = { lat: 37.77 + 30_000 * metre, lng: -122.41 };
    const at = (lat: number) => reason({}, { position: { ...edge, lat } });
    expect(at(edge.lat - 5 * metre)).toBeNull();
    expect(at(edge.lat + 5 * metre)).toBe('out_of_range');
  });

  it('is who a naive model says, for any driver, job and rules', () => {
    const position = fc.option(
      fc.record({
        lat: fc.double({ min: 37.5, max: 38.1, noNaN: true }),
        lng: fc.double({ min: -122.8, max: -122, noNaN: true }),
      }),
    );
    const truckType = fc.constantFrom(null, 'van', 'flatbed');
    const id = fc.constantFrom('d1', 'd2', 'd3');
    const time = fc.integer({ min: NOW - 5, max: NOW + 5 });
    const drivers = fc.record<DriverState>({
      id,
      rev: fc.nat(),
      online: mostly(true),
      approved: mostly(true),
      isOperator: mostly(false),
      truckType,
      activeJobs: fc.integer({ min: 0, max: 3 }),
      position,
      seenAt: time,
    });
    const jobs = fc.record<OpenJob>({
      id: fc.constant('j1'),
      status: fc.oneof(fc.constant('pending' as const), fc.constantFrom(...JOB_STATUSES)),
      version: fc.nat(),
      wave: fc.nat(),
      position,
      radiusKm: fc.integer({ min: 10, max: 50 }),
      truckType,
      reservedFor: fc.option(id, { freq: 4 }),
      expiresAt: fc.option(time, { freq: 2 }),
      refused: fc
        .array(fc.tuple(id, fc.constantFrom('declined' as const, 'released' as const)), {
          maxLength: 1,
        })
        .map((refusals) => new Map(refusals)),
    });
    const limits = fc.record({
      driverStaleMs: fc.integer({ min: 2, max: 5 }),
      driverMaxActiveJobs: fc.integer({ min: 0, max: 3 }),
    });
    const seen = { yes: 0, no: 0 };
    fc.assert(
      fc.property(drivers, jobs, limits, (d, j, limit) => {
        const expected = naive(d, j, limit);
        seen[expected ? 'yes' : 'no']++;
        expect(visible(d, j, NOW, limit)).toBe(expected);
        // One change more at a time: what hides a job is never made good by something else.
        expect(visible({ ...d, online: false }, j, NOW, limit)).toBe(false);
      }),
      { numRuns: 5000 },
    );
    // About one in forty sees it: neither answer may be all that was compared.
    expect(seen.yes).toBeGreaterThan(50);
    expect(seen.no).toBeGreaterThan(50);
  });
});

/** Else hardly any driver would see anything. */
const mostly = (value: boolean) => fc.integer({ min: 0, max: 9 }).map((n) => n > 0 === value);

/** The contract's sentences, one by one. */
function naive(d: DriverState, j: OpenJob, limit: typeof rules): boolean {
  const mayWork = d.approved && d.online && !d.isOperator;
  const isHeardOf = d.seenAt + limit.driverStaleMs >= NOW;
  const hasRoom = limit.driverMaxActiveJobs === 0 || d.activeJobs < limit.driverMaxActiveJobs;
  const isOpen = ['pending', 'confirmed', 'assigned'].includes(j.status);
  const hasTime = j.expiresAt === null || j.expiresAt > NOW;
  const isForHim = j.reservedFor === null || j.reservedFor === d.id;
  const fits = j.truckType === null || j.truckType === d.truckType || j.reservedFor === d.id;
  const isNear =
    j.position === null ||
    (d.position !== null && distanceKm(d.position, j.position) <= j.radiusKm);
  const conditions = [mayWork, isHeardOf, hasRoom, isOpen, hasTime, isForHim, fits, isNear];
  return conditions.every(Boolean) && !j.refused.has(d.id);
}
