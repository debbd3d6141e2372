/** A driver's state in one word, as operators are shown it. */
import { type DriverState, unavailableReason, type VisibilityRules } from './visibility.ts';

export const DRIVER_WORDS = [
  'available',
  'busy',
  'stale',
  'offline',
  'pending',
  'suspended',
] as const;
export type DriverWord = (typeof DRIVER_WORDS)[number];

/** An operator's own account is never offered work, so it counts as offline. */
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
