/** The facts about one driver and one job: what reached him, what he did, why not more. */
import { distance, said } from '../../lib/reasons.js';
import { clock } from '../../lib/time.js';
import { outcomeOf } from './words.js';

/**
 * In one sentence.
 * @param {any} explanation about this driver alone
 * @param {'wave' | 'now'} when
 */
export function answer(explanation, when) {
  const { job, waves, at } = explanation;
  const driver = explanation.considered[0] ?? explanation.others[0];
  const id = driver.driver_id;
  const name = driver.name === null ? id : `${driver.name} (${id})`;
  const parts = driver.offered ? [offerOf(driver, name), ...pushesOf(driver)] : [];
  const isHis = job.driver_id === id;
  if (isHis && job.accepted_at !== null) parts.push(`he took it at ${clock(job.accepted_at)}`);
  else if (driver.reason !== 'sees_it' || when === 'now' || parts.length === 0) {
    const last = waves.at(-1);
    const moment =
      when === 'now' || !last
        ? `as of ${clock(at)}`
        : `when wave ${last.wave} opened at ${clock(at)}`;
    const why = driver.refused?.kind === driver.reason ? driver.refused.reason : null;
    const subject = parts.length > 0 ? 'he' : name;
    parts.push(`${moment}, ${subject} ${said(driver, when)}${why ? ` (“${why}”)` : ''}`);
  }
  const text = `${parts.join('; ')}.`;
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** @param {any} driver @param {string} name */
function offerOf({ waves, delivered_at }, name) {
  const last = waves.at(-1);
  const numbers = waves.map((/** @type {any} */ one) => one.wave);
  const where = last ? ` in wave ${numbers.join(' and ')}, ${distance(last.distance_km)} away` : '';
  const reached =
    delivered_at === null
      ? 'but no phone of his was connected'
      : `his phone had it at ${clock(delivered_at)}`;
  return `${name} was offered it${where}, ${reached}`;
}

/** @param {any} driver @returns {string[]} */
function pushesOf({ waves, pushes }) {
  const last = pushes.at(-1);
  if (!last) return waves.length > 0 ? ['no push was sent to him'] : [];
  if (last.outcome === 'sent') return [`Apple took a push for him at ${clock(last.at)}`];
  return [`no push reached him, the last at ${clock(last.at)}: ${outcomeOf(last)}`];
}
