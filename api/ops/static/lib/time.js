/** Times as people read them, by the server's clock, since a laptop's may be off. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

let aheadMs = 0;

/** @param {string} serverTime as `hello` says it */
export function setServerTime(serverTime) {
  aheadMs = Date.parse(serverTime) - Date.now();
}

/** Epoch ms by the server's clock. */
export const serverNow = () => Date.now() + aheadMs;

/**
 * How long: `7 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`.
 * @param {number} ms
 */
export function duration(ms) {
  const all = Math.max(0, ms);
  const two = (/** @type {number} */ value) => String(Math.floor(value)).padStart(2, '0');
  if (all < MINUTE) return `${Math.floor(all / SECOND)} s`;
  if (all < HOUR) return `${Math.floor(all / MINUTE)} min ${two((all % MINUTE) / SECOND)} s`;
  if (all < DAY) return `${Math.floor(all / HOUR)} h ${two((all % HOUR) / MINUTE)} min`;
  return `${Math.floor(all / DAY)} d ${Math.floor((all % DAY) / HOUR)} h`;
}

/**
 * The time of day in this place, with the day where it is not today.
 * @param {string | number} time RFC 3339, or epoch ms
 */
export function clock(time) {
  const date = new Date(time);
  const text = date.toLocaleTimeString([], { hour12: false });
  const isToday = date.toDateString() === new Date(serverNow()).toDateString();
  return isToday ? text : `${date.toLocaleDateString()} ${text}`;
}
