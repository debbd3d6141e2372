/**
 * Why a job is not in a driver's feed, with the value seen: what `hiddenReason` says, for people.
 */
import { distanceKm, type Position } from './distance.ts';
import { isClaimable, type JobRow } from './job.ts';
import {
  type DriverState,
  type HiddenReason,
  hiddenReason,
  type OpenJob,
  type Refusal,
  type VisibilityRules,
} from './visibility.ts';

/**
 * In the order in which they are checked: reasons of the driver first, then that the wave was full
 * before his turn, then that the job is no longer on offer, then that nothing hides it from him.
 */
export const EXPLAIN_REASONS = [
  'not_approved',
  'is_operator',
  'offline',
  'stale',
  'busy',
  'declined',
  'released',
  'reserved',
  'truck_type',
  'no_position',
  'out_of_range',
  'push_cap',
  'closed',
  'sees_it',
] as const satisfies readonly (HiddenReason | 'push_cap' | 'sees_it')[];
export type ExplainReason = (typeof EXPLAIN_REASONS)[number];

/** Why the job is not in the driver's feed now, with the value seen and the limit it was compared with. */
export interface Because {
  reason: ExplainReason;
  value: string | number | boolean | null;
  limit?: string | number | null;
}

/** A driver's refusal of the job; `at` is RFC 3339. */
export interface RefusedAt {
  driverId: string;
  kind: Refusal;
  at: string;
}

/** The first reason by the one rule; a job that is no longer open is judged as if it were. */
export function because(
  row: JobRow,
  refusal: RefusedAt | undefined,
  driver: DriverState & { approvalStatus: string },
  now: number,
  rules: VisibilityRules,
): Because {
  const refused = refusal ? [[refusal.driverId, refusal.kind] as const] : [];
  const reason = hiddenReason(driver, asOpen(row, new Map(refused)), now, rules);
  switch (reason) {
    case 'not_approved':
      return { reason, value: driver.approvalStatus };
    case 'is_operator':
      return { reason, value: true };
    case 'offline':
      return { reason, value: false };
    case 'stale': {
      const value = driver.seenAt === 0 ? null : Math.round((now - driver.seenAt) / 1000);
      return { reason, value, limit: rules.driverStaleMs / 1000 };
    }
    case 'busy':
      return { reason, value: driver.activeJobs, limit: rules.driverMaxActiveJobs };
    case 'declined':
    case 'released':
      return { reason, value: refusal?.at ?? null };
    case 'reserved':
      return { reason, value: row.driverId };
    case 'truck_type':
      return { reason, value: driver.truckType, limit: row.truckType };
    case 'no_position':
      return { reason, value: null };
    case 'out_of_range':
      return { reason, value: distanceFrom(row, driver), limit: row.radiusKm };
    default:
      return ofJob(row, now);
  }
}

/** Nothing about the driver hides the job: it is closed, or he sees it. */
function ofJob(row: JobRow, now: number): Because {
  const overdue = row.expiresAt !== null && row.expiresAt <= now;
  if (isClaimable(row.status) && !overdue) return { reason: 'sees_it', value: row.status };
  return { reason: 'closed', value: overdue && isClaimable(row.status) ? 'expired' : row.status };
}

function asOpen(row: JobRow, refused: OpenJob['refused']): OpenJob {
  return {
    id: row.id,
    status: isClaimable(row.status) ? row.status : 'pending',
    version: row.version,
    wave: row.wave,
    position: positionOf(row),
    radiusKm: row.radiusKm,
    truckType: row.truckType,
    // A driver who holds the job is more than reserved for it.
    reservedFor: row.status === 'assigned' ? row.driverId : null,
    expiresAt: null,
    refused,
  };
}

/** How far the driver is from the job, rounded for people; null where either has no position. */
export function distanceFrom(row: JobRow, { position }: DriverState): number | null {
  const there = positionOf(row);
  return there && position && roundKm(distanceKm(there, position));
}

/** The position of a row, where it has one. */
export function positionOf(row: { lat: number | null; lng: number | null }): Position | null {
  return row.lat === null || row.lng === null ? null : { lat: row.lat, lng: row.lng };
}

/** Metres are enough for people. */
export function roundKm(km: number): number {
  return Math.round(km * 1000) / 1000;
}
