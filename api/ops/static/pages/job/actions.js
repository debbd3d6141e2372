/** Actions on a job; each button is named by its verb and shows a refusal beside it. */
import { act } from '../../lib/calls.js';
import { html, useLayoutEffect, useRef, useState } from '../../lib/html.js';
import { useKeys } from '../../lib/keys.js';
import { isHeld, isOpen } from '../../lib/names.js';
import { session } from '../../lib/page-facts.js';
import { Act } from '../../lib/ui.js';
import { Assign } from './assign.js';

/**
 * @typedef {object} Verb
 * @property {string} text
 * @property {string} key
 * @property {string} path
 * @property {string} what for the help
 * @property {(status: string) => boolean} fits
 * @property {'' | 'danger'} [kind]
 * @property {{title: string, text: string}} [confirm]
 */

/** @type {readonly Verb[]} */
const VERBS = [
  {
    ...{ text: 'Confirm', key: 'c', path: '/api/jobs/ID/confirm', what: 'Confirm the job' },
    fits: (status) => status === 'pending',
  },
  {
    ...{
      text: 'Dispatch again',
      key: 'd',
      path: '/api/ops/jobs/ID/dispatch',
      what: 'Dispatch again',
    },
    fits: (status) => status === 'pending' || status === 'confirmed',
  },
  {
    ...{
      text: 'Release',
      key: 'r',
      path: '/api/ops/jobs/ID/release',
      what: 'Release from its driver',
    },
    fits: (status) => status === 'assigned' || isHeld(status),
    kind: 'danger',
    confirm: {
      title: 'Release this job?',
      text: 'It is taken from its driver and offered to all others at once. He and the customer are told.',
    },
  },
  {
    ...{ text: 'Cancel', key: 'x', path: '/api/jobs/ID/cancel', what: 'Cancel the job' },
    fits: (status) => isOpen(status) || isHeld(status),
    kind: 'danger',
    confirm: {
      title: 'Cancel this job?',
      text: 'It ends for good. The driver who holds it and the customer are told.',
    },
  },
];

/** @param {{job: any, onDone: () => void}} props */
export function Actions({ job, onDone }) {
  const [isAssigning, assign] = useState(false);
  const [pressed, press] = useState(/** @type {Record<string, number>} */ ({}));
  // A refused action stays, with the sentence, even if the job has moved on meanwhile.
  const [refused, setRefused] = useState('');
  const reason = useRef('');
  const canAssign = session.mayAct && isOpen(job.status);
  const verbs = session.mayAct
    ? VERBS.filter(({ fits, key }) => fits(job.status) || key === refused)
    : [];
  useKeys([
    ...(canAssign ? [{ key: 'a', what: 'Assign a driver', run: () => assign(true) }] : []),
    ...verbs.map(({ key, what }) => ({
      ...{ key, what },
      run: () => press((was) => ({ ...was, [key]: (was[key] ?? 0) + 1 })),
    })),
  ]);
  if (!session.mayAct || (verbs.length === 0 && !canAssign)) return null;
  return html`<div class="buttons actions" role="group" aria-label="Actions">
    ${canAssign && html`<button type="button" class="main" onClick=${() => assign(true)}>Assign</button>`}
    ${verbs.map(
      ({ text, key, path, kind, confirm, fits }) => html`<${Act}
      key=${key} kind=${kind ?? ''} pressed=${pressed[key] ?? 0} disabled=${!fits(job.status)}
      onDone=${onDone} onRefused=${() => setRefused(key)}
      call=${() => act('POST', path.replace('ID', encodeURIComponent(job.id)), bodyOf(confirm, reason))}
      confirm=${confirm && { title: confirm.title, verb: text, text: html`<p>${confirm.text}</p><${Reason} reason=${reason} />` }}
    >${text}<//>`,
    )}
    ${isAssigning && html`<${Assign} job=${job} onDone=${onDone} onClose=${() => assign(false)} />`}
  </div>`;
}

/** @param {Verb['confirm']} confirm @param {{current: string}} reason */
function bodyOf(confirm, reason) {
  return confirm && reason.current.trim() ? { reason: reason.current.trim() } : {};
}

/** An optional reason, for the record. @param {{reason: {current: string}}} props */
function Reason({ reason }) {
  // What was typed for another action, or for one that was not taken after all, is no reason for this one.
  useLayoutEffect(() => {
    reason.current = '';
  }, []);
  return html`<label class="reason-of">Reason, for the record
    <input maxlength="200" onInput=${(/** @type {any} */ event) => {
      reason.current = event.target.value;
    }} />
  </label>`;
}
