import { describe, expect, it } from 'vitest';
import {
  isActive,
  JOB_STATUSES,
  type JobRow,
  mayProgress,
  PROGRESS,
  refusalOf,
  toJob,
  toOwnersJob,
} from '../../../engine/domain/job.ts';

const row: JobRow = {
  id: 'world-x',
  zone: 'world',
  status: 'pending',
  version: 3,
  settledVersion: 2,
  customerId: 'c1',
  driverId: null,
  address: '1 Main St',
  lat: null,
  lng: null,
  totalPrice: 12.5,
  truckType: null,
  notes: null,
  wave: 1,
  waveStep: 0,
  radiusKm: 30,
  createdAt: 0,
  updatedAt: 1000,
  expiresAt: null,
  acceptedAt: null,
};

describe('progress', () => {
  it('goes forward only, and may skip', () => {
    const allowed = JOB_STATUSES.flatMap((from) =>
      PROGRESS.filter((to) => mayProgress(from, to)).map((to) => `${from} → ${to}`),
    );
    expect(allowed).toEqual([
      'accepted → en_route',
      'accepted → arrived',
      'accepted → started',
      'accepted → completed',
      'en_route → arrived',
      'en_route → started',
      'en_route → completed',
      'arrived → started',
      'arrived → completed',
      'started → completed',
    ]);
  });

  it('ends in a status that is not active', () => {
    expect(JOB_STATUSES.filter((status) => !isActive(status))).toEqual([
      'completed',
      'cancelled',
      'expired',
    ]);
  });
});

describe('refusals', () => {
  it('names the true reason', () => {
    expect(refusalOf('cancelled')).toBe('job_cancelled');
    expect(refusalOf('expired')).toBe('job_expired');
    expect(refusalOf('completed')).toBe('job_completed');
    expect(refusalOf('en_route')).toBe('already_accepted');
  });
});

describe('views', () => {
  it('tells drivers nothing about the customer and nobody about our own columns', () => {
    expect(Object.keys(toJob(row)).sort()).toEqual(
      [
        'accepted_at',
        'address',
        'created_at',
        'driver_id',
        'expires_at',
        'id',
        'lat',
        'lng',
        'notes',
        'status',
        'total_price',
        'truck_type',
        'updated_at',
        'version',
      ].sort(),
    );
    expect(toOwnersJob(row)).toEqual({ ...toJob(row), customer_id: 'c1' });
  });

  it('writes times as RFC 3339 UTC', () => {
    expect(toJob(row).updated_at).toBe('1970-01-01T00:00:01.000Z');
  });
});
