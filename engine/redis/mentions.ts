/**
 * Where a key of ours names a user. A user may be called `1`, `open` or `van`, so his id counts only where
 * an id may stand: never as a word in a text, a number in a fix, or the state of a job.
 */
import { keys } from './keys.ts';

/** Keys whose fields or members are drivers. */
const BY_DRIVER = /^muster:\{[^}]*\}:(?:declined:[^:]+|drivers:[^:]+|roster|fixes|seen)$/;
/** Hashes of jobs, and their fields that hold a driver's id. */
const JOB = /^muster:\{[^}]*\}:job:/;
const DRIVER_FIELDS: ReadonlySet<string | undefined> = new Set(['driver', 'claimer']);
/** Queues of pushes: what their tasks are called, return and fail with ends on `driver SUB` or `customer SUB`. */
const PUSHES = /^\{muster-push-/;
/** Properties of JSON with a word or a text of somebody's choice. */
const WORDS: ReadonlySet<string> = new Set([
  ...['status', 'state', 'kind', 'type', 'event', 'app', 'truckType', 'truck_type'],
  ...['name', 'title', 'body', 'address', 'notes', 'reason'],
]);
/** A list of pairs, each a driver and how he refused. */
const PAIRS = 'refused';
const JOB_ID = /(?:world|[0-9a-f]{15})-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

export interface Mentions {
  userId: string;
  /** Jobs with texts of his. */
  jobIds: ReadonlySet<string>;
}

/** Does this member, entry or value of the key mention him? `field`: where a hash holds the value. */
export type Matcher = (key: string, text: string, field?: string) => boolean;

export function createMatcher({ userId, jobIds }: Mentions): Matcher {
  const person = new RegExp(`(?:→|to) (?:driver|customer) ${userId}(?![A-Za-z0-9_-])`);
  return (key, text, field) => {
    if (isOfJobs(text, jobIds) || isOfJobs(field ?? '', jobIds)) return true;
    if (BY_DRIVER.test(key)) return (field ?? text) === userId;
    if (JOB.test(key) && DRIVER_FIELDS.has(field)) return text === userId;
    return holdsId(text, userId) || (PUSHES.test(key) && person.test(text));
  };
}

/** Is all of the key about him, or about a job of his? */
export function isKeyOf(key: string, { userId, jobIds }: Mentions): boolean {
  return key === keys.driver(userId) || isOfJobs(key, jobIds);
}

function isOfJobs(text: string, jobIds: ReadonlySet<string>): boolean {
  return jobIds.size > 0 && (text.match(JOB_ID) ?? []).some((id) => jobIds.has(id));
}

/** Does the JSON hold the id? What quotes the id and is no JSON counts as well. */
function holdsId(text: string, id: string): boolean {
  if (!text.includes(`"${id}"`)) return false;
  try {
    return isIn(JSON.parse(text), id);
  } catch {
    return true;
  }
}

function isIn(value: unknown, id: string): boolean {
  if (typeof value !== 'object' || value === null) return value === id;
  if (Array.isArray(value)) return value.some((one) => isIn(one, id));
  return Object.entries(value).some(([name, held]) => {
    if (WORDS.has(name) && typeof held === 'string') return false;
    if (name === PAIRS && Array.isArray(held))
      return held.some((one, i) => i % 2 === 0 && one === id);
    return isIn(held, id);
  });
}
