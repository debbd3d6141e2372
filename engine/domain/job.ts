/**
 * What a job is: its statuses, which status may follow which, its row and what each reader sees.
 * Pure data and functions; the row in Postgres is the truth, everything else is built from it.
 */
import type { DriverCard, Job } from './shapes.ts';

export type { DriverCard, Job };

export const JOB_STATUSES = [
  'pending',
  'confirmed',
  'assigned',
  'accepted',
  'en_route',
  'arrived',
  'started',
  'completed',
  'cancelled',
  'expired',
] as const;
export type JobStatus = (typeof JOB_STATUSES)[number];

/** A driver may still take it. */
export const CLAIMABLE: readonly JobStatus[] = ['pending', 'confirmed', 'assigned'];
/** A driver holds it. */
export const HELD: readonly JobStatus[] = ['accepted', 'en_route', 'arrived', 'started'];
/** Nothing can happen to it any more. */
export const OVER: readonly JobStatus[] = ['completed', 'cancelled', 'expired'];
/** What the job's driver may report, in order; skipping forward is allowed. */
export const PROGRESS = ['en_route', 'arrived', 'started', 'completed'] as const;
export type Progress = (typeof PROGRESS)[number];

export const isClaimable = (status: JobStatus): boolean => CLAIMABLE.includes(status);
export const isHeld = (status: JobStatus): boolean => HELD.includes(status);
export const isActive = (status: JobStatus): boolean => isClaimable(status) || isHeld(status);

/** Who did it, for the timeline: a user with his role, or Muster itself. */
export type Actor = `${'driver' | 'customer' | 'operator' | 'service'}:${string}` | 'muster';

/** One row of `jobs`; times are epoch milliseconds. */
export interface JobRow {
  id: string;
  zone: string;
  status: JobStatus;
  version: number;
  settledVersion: number;
  customerId: string;
  /** The driver who holds it; with status `assigned` the one for whom it is reserved. */
  driverId: string | null;
  address: string;
  lat: number | null;
  lng: number | null;
  totalPrice: number;
  truckType: string | null;
  notes: string | null;
  /** Counts upwards for the life of the job, across releases. */
  wave: number;
  /** Where in the wave plan this wave stands. */
  waveStep: number;
  radiusKm: number;
  createdAt: number;
  updatedAt: number;
  expiresAt: number | null;
  acceptedAt: number | null;
}

/** The row as drivers see it. */
export function toJob(row: JobRow): Job {
  return {
    id: row.id,
    status: row.status,
    version: row.version,
    address: row.address,
    lat: row.lat,
    lng: row.lng,
    total_price: row.totalPrice,
    truck_type: row.truckType,
    notes: row.notes,
    driver_id: row.driverId,
    created_at: toTime(row.createdAt),
    updated_at: toTime(row.updatedAt),
    expires_at: row.expiresAt === null ? null : toTime(row.expiresAt),
    accepted_at: row.acceptedAt === null ? null : toTime(row.acceptedAt),
  };
}

/** The row as its customer and operators see it. */
export function toOwnersJob(row: JobRow, driver?: DriverCard): Job {
  return { ...toJob(row), customer_id: row.customerId, ...(driver && { driver }) };
}

/** RFC 3339 UTC. */
export function toTime(ms: number): string {
  return new Date(ms).toISOString();
}

/** May the job's driver report `to` while the job stands at `from`? Forward only, skipping allowed. */
export function mayProgress(from: JobStatus, to: Progress): boolean {
  if (!isHeld(from)) return false;
  return PROGRESS.indexOf(to) > PROGRESS.indexOf(from as Progress);
}

/** Why a job cannot be taken. `already_accepted` covers every status in which a driver holds it. */
export type ClaimRefusal =
  | 'already_accepted'
  | 'job_cancelled'
  | 'job_expired'
  | 'job_completed'
  | 'reserved'
  | 'released'
  | 'driver_busy'
  | 'not_approved'
  | 'job_not_found';

/** What a driver who does not hold the job is told when its status is no longer claimable. */
export function refusalOf(status: JobStatus): ClaimRefusal {
  if (status === 'cancelled') return 'job_cancelled';
  if (status === 'expired') return 'job_expired';
  if (status === 'completed') return 'job_completed';
  return 'already_accepted';
}
