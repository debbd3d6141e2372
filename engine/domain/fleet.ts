/** What a driver is doing, in one word: how operators look at the fleet. */

/** The first that applies, from the last to the first; an operator's own account is never offered work. */
export const DRIVER_STATES = [
  'available',
  'busy',
  'stale',
  'offline',
  'pending',
  'suspended',
] as const;
export type DriverWord = (typeof DRIVER_STATES)[number];
