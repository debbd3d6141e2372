/** Words for the API's codes, and a sign for each: colour is never the only mark. */

/**
 * @typedef {object} Word
 * @property {string} text
 * @property {'open' | 'held' | 'good' | 'quiet' | 'warn' | 'bad'} tone
 * @property {string} sign
 */

/** Statuses of jobs. @type {Readonly<Record<string, Word>>} */
export const STATUSES = {
  pending: { text: 'Pending', tone: 'open', sign: '○' },
  confirmed: { text: 'Confirmed', tone: 'open', sign: '◎' },
  assigned: { text: 'Assigned', tone: 'open', sign: '◇' },
  accepted: { text: 'Accepted', tone: 'held', sign: '●' },
  en_route: { text: 'En route', tone: 'held', sign: '▸' },
  arrived: { text: 'Arrived', tone: 'held', sign: '▪' },
  started: { text: 'Started', tone: 'held', sign: '◆' },
  completed: { text: 'Completed', tone: 'good', sign: '✓' },
  cancelled: { text: 'Cancelled', tone: 'quiet', sign: '✕' },
  expired: { text: 'Expired', tone: 'warn', sign: '◔' },
};

/** States of drivers; the map draws the same shapes. @type {Readonly<Record<string, Word>>} */
export const STATES = {
  available: { text: 'Available', tone: 'good', sign: '●' },
  busy: { text: 'Busy', tone: 'held', sign: '■' },
  stale: { text: 'Stale', tone: 'warn', sign: '▲' },
  offline: { text: 'Offline', tone: 'quiet', sign: '○' },
  pending: { text: 'Waiting for approval', tone: 'open', sign: '◇' },
  suspended: { text: 'Suspended', tone: 'bad', sign: '✕' },
};

/** Why a job is not offered to a driver. @type {Readonly<Record<string, string>>} */
export const REASONS = {
  sees_it: 'Sees it',
  not_approved: 'Not approved',
  is_operator: 'Is an operator',
  offline: 'Offline',
  stale: 'Not heard of',
  busy: 'At his job limit',
  declined: 'Declined it',
  released: 'Gave it back',
  reserved: 'Reserved for another',
  truck_type: 'Other truck type',
  no_position: 'No position',
  out_of_range: 'Out of range',
  push_cap: 'Beyond the push cap',
  closed: 'Closed',
};

/** What this Muster needs and lacks. @param {Record<string, 'ok' | 'failed'>} checks */
export const failedChecks = (checks) => Object.keys(checks).filter((name) => checks[name] !== 'ok');

const CLAIMABLE = new Set(['pending', 'confirmed', 'assigned']);
const HELD = new Set(['accepted', 'en_route', 'arrived', 'started']);

/** May a driver still take it? @param {string} status */
export const isOpen = (status) => CLAIMABLE.has(status);
/** Does a driver hold it? @param {string} status */
export const isHeld = (status) => HELD.has(status);
/** States in which a driver works. @param {string} state */
export const isOnline = (state) => state === 'available' || state === 'busy' || state === 'stale';
