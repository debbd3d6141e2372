/** "Ask about a driver…": by his id, or part of his name. */
import { get } from '../../lib/calls.js';
import { html, useRef, useState } from '../../lib/html.js';
import { useKeys } from '../../lib/keys.js';
import { Pill, Refused } from '../../lib/ui.js';

/** Drivers come in the order of their ids; one with exactly this id is among this many. */
const FOUND_MAX = 100;
/** With more matches than this, ask for a longer name. */
const SHOWN = 8;

/** @param {{onAsk: (driverId: string) => void}} props */
export function AskDriver({ onAsk }) {
  const [found, setFound] = useState(/** @type {any[] | null} */ (null));
  const [refusal, setRefusal] = useState(/** @type {unknown} */ (null));
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const ask = () => {
    document.getElementById('why')?.scrollIntoView();
    input.current?.focus({ preventScroll: true });
  };
  useKeys([{ key: 'e', what: 'Explain: ask about a driver', run: ask }]);
  /** @param {Event} event */
  const look = async (event) => {
    event.preventDefault();
    const q = input.current?.value.trim();
    if (!q) return;
    setRefusal(null);
    try {
      const { drivers } = await get('/api/ops/drivers', { q, limit: FOUND_MAX });
      const one = drivers.find((/** @type {any} */ { id }) => id === q) ?? drivers[0];
      const isClear = one && (one.id === q || drivers.length === 1);
      setFound(isClear ? null : drivers.slice(0, SHOWN));
      if (isClear) onAsk(one.id);
    } catch (refused) {
      setRefusal(refused);
    }
  };
  return html`<form class="ask" onSubmit=${look}>
    <input ref=${input} type="search" aria-label="Ask about a driver, by id or name"
      placeholder="Ask about a driver…" maxlength="200" />
    <button>Ask</button>
    <${Refused} refusal=${refusal} />
    ${
      found &&
      html`<div class="found" role="status">
      ${found.length === 0 ? 'No driver has this id or name.' : 'Which one?'}
      ${found.map(
        ({ id, name, state }) =>
          html` <button type="button" onClick=${() => {
            setFound(null);
            onAsk(id);
          }}>${name} <span class="id">${id}</span> <${Pill} state=${state} /></button>`,
      )}
    </div>`
    }
  </form>`;
}
