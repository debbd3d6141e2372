/** j and k move the focus among the links of a list; Enter opens the one that has it. */
import { useRef } from './html.js';
import { useKeys } from './keys.js';

/**
 * @param {string} what the rows are, e.g. `driver`, for the help
 * @returns {{current: HTMLElement | null}} belongs to the list, whose links with `data-row` are walked
 */
export function useWalk(what) {
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  /** @param {number} step */
  const move = (step) => {
    const rows = /** @type {HTMLElement[]} */ ([
      ...(list.current?.querySelectorAll('[data-row]') ?? []),
    ]);
    const at = rows.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const next = at < 0 ? (step > 0 ? 0 : rows.length - 1) : at + step;
    rows[Math.min(rows.length - 1, Math.max(0, next))]?.focus();
  };
  useKeys([
    { key: 'j', what: `Next ${what}`, run: () => move(1) },
    { key: 'k', what: `Previous ${what}`, run: () => move(-1) },
  ]);
  return list;
}
