/** Which jobs are in the queue, and in which order. */
import { isOpen } from '../../lib/names.js';

/** @typedef {import('../../lib/feed.js').Job} Job */

/**
 * Matching open jobs, longest untaken first.
 * @param {Iterable<Job>} jobs
 * @param {{q: string, status: string}} filter a part of the address or an id; one status
 * @returns {Job[]}
 */
export function openJobs(jobs, { q, status }) {
  const text = q.trim().toLowerCase();
  const fits = (/** @type {Job} */ job) =>
    isOpen(job.status) &&
    (status === '' || job.status === status) &&
    (text === '' || job.address.toLowerCase().includes(text) || job.id.includes(text));
  return [...jobs]
    .filter(fits)
    .sort((a, b) => (a.created_at < b.created_at ? -1 : a.created_at > b.created_at ? 1 : 0));
}
