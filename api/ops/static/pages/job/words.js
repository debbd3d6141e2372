/** What happened to a job, in words: events of its record, and outcomes of pushes. */

/**
 * @typedef {object} Event of `GET /api/jobs/:id/timeline`
 * @property {string} type
 * @property {string} at
 * @property {number} [version]
 * @property {string} [status]
 * @property {string} [actor]
 * @property {string} [driver_id]
 * @property {string} [reason]
 *
 * @typedef {Event & {user_id: string, role: string, lane: string, kind: string, wave?: number,
 *   token_suffix: string, outcome: string}} Attempt
 */

/** @type {Readonly<Record<string, (event: Event) => string>>} */
const EVENTS = {
  'job.posted': () => 'Posted',
  'job.confirmed': () => 'Confirmed',
  'job.assigned': ({ driver_id }) => `Reserved for ${driver_id}`,
  'job.declined': ({ driver_id }) => `Declined by ${driver_id}, open to all again`,
  'job.accepted': ({ driver_id }) => `Taken by ${driver_id}`,
  'job.released': ({ driver_id }) => `Given back by ${driver_id}, open again`,
  'job.wave_opened': () => 'Dispatched again',
  'job.en_route': () => 'Driver is en route',
  'job.arrived': () => 'Driver has arrived',
  'job.started': () => 'Started',
  'job.completed': () => 'Completed',
  'job.cancelled': () => 'Cancelled',
  'job.expired': () => 'Expired',
  'job.fenced': ({ version }) => `Version ${version} skipped`,
};

/** @param {Event} event */
export const wordOf = (event) => EVENTS[event.type]?.(event) ?? event.type;

/** @type {Readonly<Record<string, string>>} */
const OUTCOMES = {
  sent: 'Apple took it',
  rejected: 'Apple refused it',
  never_processed: 'Apple did not process it',
  unknown: 'no answer is on record',
  not_sent: 'not sent',
};

/**
 * The outcome of a push.
 * @param {{outcome: string, status?: number | null | undefined | string, reason?: string | null | undefined}} push
 */
export function outcomeOf({ outcome, status, reason }) {
  const why = [status, reason].filter(
    (part) => part !== null && part !== undefined && part !== 200,
  );
  return (OUTCOMES[outcome] ?? outcome) + (why.length > 0 ? `: ${why.join(' ')}` : '');
}

/** @type {Readonly<Record<string, string>>} */
const KINDS = {
  new_job: 'the offer',
  driver_assigned: 'that a driver is coming',
  job_released: 'that the driver gave it back',
  job_expired: 'that it expired',
  job_completed: 'that it is done',
  job_cancelled: 'that it was cancelled',
  job_withdrawn: 'that it is no longer his',
};

/** What a push was about. @param {string} kind */
export const kindOf = (kind) => KINDS[kind] ?? kind;

/** `1 driver`, `2 drivers`. @param {number} n @param {string} noun */
export const count = (n, noun) => `${n.toLocaleString('en-US')} ${noun}${n === 1 ? '' : 's'}`;
