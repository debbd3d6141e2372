/**
 * The keyboard. Components say which keys they take; the newest goes first, and the help dialog lists the
 * keys that work now. No key is taken while somebody types or a dialog is open.
 */
import { useLayoutEffect, useRef } from './html.js';

/**
 * @typedef {object} Binding
 * @property {string} key as `KeyboardEvent.key` has it
 * @property {string} what for the help dialog
 * @property {(event: KeyboardEvent) => void} run
 */

/** @type {{current: readonly Binding[]}[]} */
const layers = [];

/** The keys that work now, each once. @returns {Binding[]} */
export function bindings() {
  /** @type {Map<string, Binding>} */
  const byKey = new Map();
  for (const layer of layers) for (const binding of layer.current) byKey.set(binding.key, binding);
  return [...byKey.values()];
}

/**
 * Takes these keys as long as the component is shown.
 * @param {readonly Binding[]} own
 */
export function useKeys(own) {
  const layer = useRef(own);
  layer.current = own;
  // Registered before the next paint, so that a quick second key reaches what the first one opened.
  useLayoutEffect(() => {
    layers.push(layer);
    return () => {
      layers.splice(layers.indexOf(layer), 1);
    };
  }, []);
}

addEventListener('keydown', (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (isTyping(event) || document.querySelector('dialog[open]')) return;
  const binding = bindings().find(({ key }) => key === event.key);
  if (!binding) return;
  event.preventDefault();
  binding.run(event);
});

/** @param {KeyboardEvent} event */
function isTyping({ target, key }) {
  if (!(target instanceof HTMLElement)) return false;
  if (target.matches('input, textarea, select, [contenteditable]')) return key !== 'Escape';
  // These keys activate the focused element; a row that is selected already passes them on to the page.
  const isPressable = target.matches('a, button:not([aria-current]), summary, [role=button]');
  return (key === 'Enter' || key === ' ') && isPressable;
}
