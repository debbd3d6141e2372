/** A driver's state in one word, as operators are shown it. */
import { type DriverState, unavailableReason, type VisibilityRules } from './visibility.ts';

export const DRIVER_STATES = [
  'available',
  'busy',
  'stale',
  'offline',
  'pending',
  'suspended',
] as const;
export type DriverWord = (typeof DRIVER_STATES)[number];

/**
 * The last of the list that applies, but a driver is never stale or busy while offline. An operator's own
 * account is never offered work, so it counts as offline.
 */
export function driverWord(
  driver: DriverState & { suspended: boolean },
  now: number,
  rules: VisibilityRules,
): DriverWord {
  if (driver.suspended) return 'suspended';
  switch (unavailableReason(driver, now, rules)) {
    case null:
      return 'available';
    case 'not_approved':
      return 'pending';
    case 'stale':
      return 'stale';
    case 'busy':
      return 'busy';
    default:
      return 'offline';
  }
}
