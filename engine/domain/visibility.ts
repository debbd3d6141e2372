/**
 * Who may see a job: the one definition, used by feed, list, dispatch and push alike.
 * Pure: a function of the driver, the job and the time.
 */
import { distanceKm, type Position } from './distance.ts';
import { isClaimable, type JobStatus } from './job.ts';

/** What the rule needs to know of a driver. */
export interface DriverState {
  id: string;
  rev: number;
  online: boolean;
  approved: boolean;
  isOperator: boolean;
  truckType: string | null;
  activeJobs: number;
  position: Position | null;
  /** Last sign of life, epoch ms. */
  seenAt: number;
}

/** What the rule needs to know of an open job. */
export interface OpenJob {
  id: string;
  status: JobStatus;
  version: number;
  wave: number;
  position: Position | null;
  radiusKm: number;
  truckType: string | null;
  /** With status `assigned`: the only driver who may take it. */
  reservedFor: string | null;
  expiresAt: number | null;
  /** Drivers who must not see it again. */
  refused: ReadonlyMap<string, Refusal>;
}

export type Refusal = 'declined' | 'released';

export interface VisibilityRules {
  driverStaleMs: number;
  driverMaxActiveJobs: number;
}

/** The first reason why a driver does not see a job; the order is the order of the checks. */
export type HiddenReason =
  | 'not_approved'
  | 'is_operator'
  | 'offline'
  | 'stale'
  | 'busy'
  | 'closed'
  | 'expired'
  | 'declined'
  | 'released'
  | 'reserved'
  | 'truck_type'
  | 'no_position'
  | 'out_of_range';

/**
 * Is he at work: may he be offered jobs, or does he hold one? Only then may anybody else learn his
 * position.
 */
export function isAtWork(
  driver: Pick<DriverState, 'approved' | 'isOperator' | 'online' | 'activeJobs'>,
): boolean {
  return driver.approved && ((driver.online && !driver.isOperator) || driver.activeJobs > 0);
}

/** Is the driver offered work at all? Null, or the first reason why not. */
export function unavailableReason(
  driver: DriverState,
  now: number,
  rules: VisibilityRules,
): HiddenReason | null {
  if (!driver.approved) return 'not_approved';
  if (driver.isOperator) return 'is_operator';
  if (!driver.online) return 'offline';
  if (now - driver.seenAt > rules.driverStaleMs) return 'stale';
  if (rules.driverMaxActiveJobs > 0 && driver.activeJobs >= rules.driverMaxActiveJobs) {
    return 'busy';
  }
  return null;
}

/**
 * Null when the driver sees the job, else the first reason why not.
 * An operator who reserves a job for a driver has chosen him whatever his truck type; the radius
 * still holds, so that feed, list and dispatch look at the same zones.
 */
export function hiddenReason(
  driver: DriverState,
  job: OpenJob,
  now: number,
  rules: VisibilityRules,
): HiddenReason | null {
  const unavailable = unavailableReason(driver, now, rules);
  if (unavailable) return unavailable;
  if (!isClaimable(job.status)) return 'closed';
  if (job.expiresAt !== null && job.expiresAt <= now) return 'expired';
  const refusal = job.refused.get(driver.id);
  if (refusal) return refusal;
  if (job.reservedFor !== null && job.reservedFor !== driver.id) return 'reserved';
  const anyType = job.truckType === null || job.reservedFor === driver.id;
  if (!anyType && job.truckType !== driver.truckType) return 'truck_type';
  if (job.position === null) return null;
  if (driver.position === null) return 'no_position';
  return distanceKm(driver.position, job.position) <= job.radiusKm ? null : 'out_of_range';
}

/** Does the driver see the job? */
export function visible(
  driver: DriverState,
  job: OpenJob,
  now: number,
  rules: VisibilityRules,
): boolean {
  return hiddenReason(driver, job, now, rules) === null;
}
