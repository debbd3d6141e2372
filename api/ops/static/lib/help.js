/** The keys that work on the open page. */
import { html, useState } from './html.js';
import { bindings } from './keys.js';
import { useModal } from './modal.js';

/** Names of keys without a printable character. @type {Readonly<Record<string, string>>} */
const SPELT = { ' ': 'Space', Escape: 'Esc', ArrowLeft: '←', ArrowRight: '→' };

/** @param {{onClose: () => void}} props */
export function Help({ onClose }) {
  const dialog = useModal();
  const [now] = useState(bindings);
  return html`<dialog ref=${dialog} class="help" aria-label="Keyboard" onClose=${onClose}>
    <form method="dialog">
      <h2>Keyboard</h2>
      <dl>
        ${now.map(
          ({ key, what }) =>
            html`<div><dt><kbd>${SPELT[key] ?? key}</kbd></dt><dd>${what}</dd></div>`,
        )}
      </dl>
      <p class="buttons"><button class="main" autofocus>Close</button></p>
    </form>
  </dialog>`;
}
