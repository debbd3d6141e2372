/** What a driver is doing, in one word: how operators look at the fleet. */
import { type DriverState, unavailableReason, type VisibilityRules } from './visibility.ts';

/** The last of these that applies counts; an operator's own account is never offered work. */
export const DRIVER_STATES = [
  'available',
  'busy',
  'stale',
  'offline',
  'pending',
  'suspended',
] as const;
export type DriverWord = (typeof DRIVER_STATES)[number];

/** The rule; `ops-drivers.ts` has it in SQL. */
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
