/** Why a job is not offered to a driver, in plain words: one text for each reason of the API. */
import { STATUSES } from './names.js';
import { clock, duration } from './time.js';

/**
 * @typedef {object} Seen
 * @property {string} reason
 * @property {string | number | boolean | null} value what was seen
 * @property {string | number | null} limit what it was held against
 */

const SECOND = 1000;

/** @param {boolean} was */
const be = (was) => (was ? 'was' : 'is');
/** @param {boolean} was */
const have = (was) => (was ? 'had' : 'has');
/** @param {Seen['value']} value */
const seconds = (value) => duration(Number(value) * SECOND);
/** @param {Seen['value']} value */
const at = (value) => (typeof value === 'string' ? ` at ${clock(value)}` : '');
/** @param {Seen['value']} value */
const count = (value) => `${value} ${value === 1 ? 'job' : 'jobs'}`;

/** Metres if it is near, else kilometres. @param {Seen['value']} value */
export function distance(value) {
  if (typeof value !== 'number') return '–';
  if (value < 1) return `${Math.round(value * 1000)} m`;
  return `${value.toLocaleString('en-US', { maximumFractionDigits: value < 10 ? 1 : 0 })} km`;
}

/**
 * The reason as words after the driver's name: `was` when a wave opened, or is now.
 * @type {Readonly<Record<string, (seen: Seen, was: boolean) => string>>}
 */
const SAID = {
  not_approved({ value }, was) {
    if (value === 'suspended') return `${be(was)} suspended`;
    return value === null ? 'was not registered yet' : `${be(was)} not approved yet`;
  },
  is_operator: (_, was) => `${be(was)} an operator's own account, which is offered no jobs`,
  offline: (_, was) => `${be(was)} offline`,
  stale({ value, limit }, was) {
    if (value === null) return `${have(was)} never been heard of`;
    return `${have(was)} not been heard of for ${seconds(value)}, the limit is ${seconds(limit)}`;
  },
  busy: ({ value, limit }, was) =>
    `${was ? 'held' : 'holds'} ${count(value)}, the limit is ${limit}`,
  declined: ({ value }, was) => `${have(was)} declined it${at(value)}`,
  // By him, or by an operator in his place.
  released: ({ value }, was) =>
    `${was ? 'could not' : 'cannot'} have it again, it was given back${at(value)}`,
  reserved: ({ value }, was) =>
    `${was ? 'could not' : 'cannot'} take it, it ${be(was)} reserved for ${value}`,
  truck_type({ value, limit }, was) {
    const own = value === null ? 'no truck type' : `truck type “${value}”`;
    return `${have(was)} ${own}, the job asks for “${limit}”`;
  },
  no_position: (_, was) => `${have(was)} sent no position`,
  out_of_range: ({ value, limit }, was) =>
    `${be(was)} ${distance(value)} away, the radius ${be(was)} ${distance(limit)}`,
  push_cap: ({ value, limit }) =>
    `had it in the feed but was not pushed: ${value} were in range, the nearest ${limit} were pushed`,
  closed: ({ value }) =>
    `would be offered it, but it is on offer no more: ${STATUSES[String(value)]?.text ?? value}`,
  sees_it: (_, was) => (was ? 'was offered it' : 'sees it in the feed'),
};

/** Every reason that has words. */
export const KNOWN_REASONS = Object.keys(SAID);

/**
 * The reason as words that follow the driver's name.
 * @param {Seen} seen
 * @param {'wave' | 'now'} when
 */
export function said(seen, when) {
  // A newer server than this page may know more reasons.
  return SAID[seen.reason]?.(seen, when === 'wave') ?? seen.reason;
}

/**
 * The value seen against the limit, in short; empty where the reason says it all.
 * @param {Seen} seen
 */
export function against({ reason, value, limit }) {
  if (reason === 'stale') {
    return value === null ? 'never heard of' : `${seconds(value)}, limit ${seconds(limit)}`;
  }
  if (reason === 'busy') return `${count(value)}, limit ${limit}`;
  if (reason === 'out_of_range') return `radius ${distance(limit)}`;
  if (reason === 'truck_type') return `${value ?? 'none'}, wanted ${limit}`;
  if (reason === 'push_cap') return `${value} in range, ${limit} pushed`;
  if (reason === 'not_approved') return value === null ? 'not registered yet' : String(value);
  if (reason === 'declined' || reason === 'released') {
    return typeof value === 'string' ? clock(value) : '';
  }
  if (reason === 'reserved') return `for ${value}`;
  return reason === 'closed' ? (STATUSES[String(value)]?.text ?? String(value)) : '';
}
