/** Outlines of H3 cells, computed by the server; each is kept once it was read. */
import { get } from '../lib/calls.js';
import { toX, toY } from './mercator.js';

/** Most cells in one call, to keep its URL short. */
const ASKED_MAX = 100;
/** When a failed call is repeated. */
const RETRY_MS = 5000;

/**
 * @typedef {object} Cell
 * @property {Float64Array} outline `[x, y, x, y, …]`, all on the same side of the world's edge
 * @property {number} x its middle
 * @property {number} y
 */

export class Cells {
  /** @type {Map<string, Cell | null>} null: it is being read */
  #cells = new Map();
  #onCells;

  /** @param {() => void} onCells there is more to draw */
  constructor(onCells) {
    this.#onCells = onCells;
  }

  /** The cell, if it is known; `ask` reads unknown ones. @param {string} id */
  find(id) {
    return this.#cells.get(id) ?? null;
  }

  /** @param {Iterable<string>} ids */
  ask(ids) {
    const unknown = [...ids].filter((id) => !this.#cells.has(id));
    for (let i = 0; i < unknown.length; i += ASKED_MAX) {
      void this.#read(unknown.slice(i, i + ASKED_MAX));
    }
  }

  /** @param {string[]} ids */
  async #read(ids) {
    for (const id of ids) this.#cells.set(id, null);
    try {
      const { cells } = await get('/map/cells', { ids: ids.join(',') });
      for (const [id, outline] of Object.entries(cells)) this.#cells.set(id, cellOf(outline));
      this.#onCells();
    } catch {
      setTimeout(() => {
        for (const id of ids) this.#cells.delete(id);
      }, RETRY_MS);
    }
  }
}

/** @param {number[]} outline `[lng, lat, …]` @returns {Cell} */
function cellOf(outline) {
  const points = new Float64Array(outline.length);
  const first = toX(outline[0] ?? 0);
  let [x, y] = [0, 0];
  for (let i = 0; i < outline.length; i += 2) {
    const there = toX(/** @type {number} */ (outline[i]));
    points[i] = there - Math.round(there - first);
    points[i + 1] = toY(/** @type {number} */ (outline[i + 1]));
    x += /** @type {number} */ (points[i]);
    y += /** @type {number} */ (points[i + 1]);
  }
  const corners = outline.length / 2;
  return { outline: points, x: x / corners, y: y / corners };
}
