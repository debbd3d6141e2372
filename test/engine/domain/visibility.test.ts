import { describe, expect, it } from 'vitest';
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
});
