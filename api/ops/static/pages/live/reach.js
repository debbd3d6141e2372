/** How many drivers each open job was offered, delivered and pushed to: read every few seconds. */
import { useRef } from '../../lib/html.js';
import { useCall } from '../../lib/use-call.js';

/** Offers go out within a second, and what an operator does about them takes longer. */
const EVERY_MS = 3000;
/** The longest untaken jobs, which are those on the screen. */
const ASKED_MAX = 100;

/** @typedef {{offered: number, delivered: number, pushed: number}} Reach */

/**
 * By job id; a missing job is not known yet.
 * @param {boolean} isFrozen
 * @returns {ReadonlyMap<string, Reach>}
 */
export function useReach(isFrozen) {
  const { answer } = useCall(
    '/api/ops/jobs',
    { status: 'pending,confirmed,assigned', sort: 'oldest', limit: ASKED_MAX },
    { everyMs: EVERY_MS },
  );
  const shown = useRef({ answer: null, reach: /** @type {Map<string, Reach>} */ (new Map()) });
  if (answer !== null && answer !== shown.current.answer && !isFrozen) {
    /** @type {(Reach & {id: string})[]} */
    const jobs = answer.jobs;
    shown.current = { answer, reach: new Map(jobs.map((job) => [job.id, job])) };
  }
  return shown.current.reach;
}

/** To how many drivers it went, and how far. @param {Reach} reach */
export const sentenceOf = ({ offered, delivered, pushed }) =>
  offered === 0
    ? '▲ offered to nobody'
    : `${offered} offered · ${delivered} delivered · ${pushed} pushed`;
