/** Values of alarms and charts as people read them. */

/**
 * A number with its unit; a share (`%`) is given as a fraction.
 * @param {number} value
 * @param {string} [unit]
 */
export function amount(value, unit = '') {
  const shown = unit === '%' ? value * 100 : value;
  const digits = Math.abs(shown) >= 100 || Number.isInteger(shown) ? 0 : 2;
  const text = shown.toLocaleString('en-US', {
    maximumFractionDigits: shown !== 0 && Math.abs(shown) < 0.1 ? 4 : digits,
  });
  return unit === '' ? text : `${text} ${unit}`;
}
