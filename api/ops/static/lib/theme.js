/** Dark or light: as the system is, until somebody chooses; this browser remembers the choice. */
import { html, useState } from './html.js';

const STORED_AS = 'muster-theme';
const system = matchMedia('(prefers-color-scheme: dark)');

/** @type {Set<() => void>} */
const listeners = new Set();

const chosen = () => {
  const value = localStorage.getItem(STORED_AS);
  return value === 'dark' || value === 'light' ? value : null;
};
export const isDark = () => (chosen() ?? (system.matches ? 'dark' : 'light')) === 'dark';

/** Tells components that draw themselves when the colours change. @param {() => void} listener */
export function onTheme(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function apply() {
  document.documentElement.dataset.theme = isDark() ? 'dark' : 'light';
  for (const listener of listeners) listener();
}
system.addEventListener('change', apply);
apply();

export function ThemeButton() {
  const [dark, setDark] = useState(isDark());
  const toggle = () => {
    localStorage.setItem(STORED_AS, dark ? 'light' : 'dark');
    setDark(!dark);
    apply();
  };
  return html`<button type="button" class="plain" onClick=${toggle}
    aria-label=${dark ? 'Light colours' : 'Dark colours'}>${dark ? '☀' : '☾'}</button>`;
}
