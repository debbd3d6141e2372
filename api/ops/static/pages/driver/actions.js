/** Actions on a driver: approve, suspend, block; those that hurt ask first. */
import { act } from '../../lib/calls.js';
import { html, useLayoutEffect, useRef, useState } from '../../lib/html.js';
import { useKeys } from '../../lib/keys.js';
import { session } from '../../lib/page-facts.js';
import { Act } from '../../lib/ui.js';
import { count } from '../job/words.js';

/** @param {{driver: any, onDone: () => void}} props */
export function Actions({ driver, onDone }) {
  const path = `/api/drivers/${encodeURIComponent(driver.id)}`;
  const isSuspended = driver.state === 'suspended';
  const needsApproval = driver.state === 'pending' || isSuspended;
  const [pressed, press] = useState(/** @type {Record<string, number>} */ ({}));
  const releases = useRef(true);
  /** @param {string} key */
  const run = (key) => () => press((was) => ({ ...was, [key]: (was[key] ?? 0) + 1 }));
  useKeys(
    !session.mayAct
      ? []
      : [
          ...(needsApproval ? [{ key: 'a', what: 'Approve him', run: run('a') }] : []),
          ...(isSuspended ? [] : [{ key: 's', what: 'Suspend him', run: run('s') }]),
          { key: 'b', what: driver.blocked ? 'Unblock him' : 'Block him', run: run('b') },
        ],
  );
  if (!session.mayAct) return null;
  return html`<div class="buttons actions" role="group" aria-label="Actions">
    ${
      needsApproval &&
      html`<${Act} key="approve" kind="main" pressed=${pressed.a ?? 0} onDone=${onDone}
        call=${() => act('PUT', path, { approval_status: 'approved' })}>Approve<//>`
    }
    ${
      !isSuspended &&
      html`<${Act} key="suspend" kind="danger" pressed=${pressed.s ?? 0} onDone=${onDone}
        call=${() =>
          act('PUT', path, {
            approval_status: 'suspended',
            ...(driver.jobs_held > 0 && releases.current && { release_jobs: true }),
          })}
        confirm=${{
          title: `Suspend ${driver.name ?? driver.id}?`,
          verb: 'Suspend',
          text: html`<p>He is offered nothing and can take nothing until he is approved again.</p>
            <${GiveBack} held=${driver.jobs_held} releases=${releases} />`,
        }}>Suspend<//>`
    }
    <${Block} driver=${driver} pressed=${pressed.b ?? 0} onDone=${onDone} />
  </div>`;
}

/** What happens to the jobs that he holds. @param {{held: number, releases: {current: boolean}}} props */
function GiveBack({ held, releases }) {
  // The last choice must not answer this question. Not at every render: this choice must stay.
  useLayoutEffect(() => {
    releases.current = true;
  }, []);
  if (held === 0) return html`<p>He holds no jobs.</p>`;
  return html`<label class="choice">
    <input type="checkbox" checked onChange=${(/** @type {any} */ event) => {
      releases.current = event.target.checked;
    }} />
    Give back the ${count(held, 'job')} that he holds: they are offered to others at once. Else
    nobody but an operator can move them.
  </label>`;
}

/** @param {{driver: any, pressed: number, onDone: () => void}} props */
function Block({ driver, pressed, onDone }) {
  const path = `/api/ops/users/${encodeURIComponent(driver.id)}`;
  if (driver.blocked) {
    return html`<${Act} key="unblock" pressed=${pressed} onDone=${onDone}
      call=${() => act('PUT', path, { blocked: false })}>Unblock<//>`;
  }
  return html`<${Act} key="block" kind="danger" pressed=${pressed} onDone=${onDone}
    call=${() => act('PUT', path, { blocked: true })}
    confirm=${{
      title: `Block ${driver.name ?? driver.id}?`,
      verb: 'Block',
      text: html`<p>Every call of his is refused and his connections end within a second, whatever
        his token says. The jobs that he holds stay his.</p>`,
    }}>Block<//>`;
}
