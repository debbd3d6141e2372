/** The style sheet's colours as a canvas takes them; read again when the theme changes. */

const NAMES = /** @type {const} */ ([
  ...['open', 'held', 'good', 'warn', 'bad', 'quiet', 'text', 'surface', 'accent', 'line'],
  ...['sea', 'land', 'grid', 'zone'],
]);
/** @typedef {Record<typeof NAMES[number], string>} Colours */

/** @param {HTMLElement} within an element whose custom properties count @returns {Colours} */
export function readColours(within) {
  const probe = document.createElement('span');
  probe.hidden = true;
  within.append(probe);
  const entries = NAMES.map((name) => {
    // A custom property is not resolved by itself, but a colour that uses it is.
    probe.style.color = `var(--${name})`;
    return [name, getComputedStyle(probe).color];
  });
  probe.remove();
  return Object.fromEntries(entries);
}
