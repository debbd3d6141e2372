/** The land under the map, tile by tile as the server cuts it; each tile is kept once it was read. */
import { get } from '../lib/calls.js';
import { toX, toY } from './mercator.js';

/** Zooms of which the server has tiles, and from which zoom of the map on they are fine enough. */
const LEVELS = [
  { from: 6, zoom: 6 },
  { from: 3, zoom: 3 },
  { from: 0, zoom: 0 },
];
/** When a tile that could not be read is tried again. */
const RETRY_MS = 5000;

/** @typedef {Float64Array[]} Tile rings, each `[x, y, x, y, …]` */

export class Land {
  /** @type {Map<string, Tile | null>} null: it is being read, or was not to be had */
  #tiles = new Map();
  #onTile;

  /** @param {() => void} onTile there is more to draw */
  constructor(onTile) {
    this.#onTile = onTile;
  }

  /**
   * @param {CanvasRenderingContext2D} ctx
   * @param {import('./camera.js').Camera} camera
   */
  draw(ctx, camera) {
    const level = LEVELS.find(({ from }) => camera.zoom >= from);
    const zoom = level?.zoom ?? 0;
    ctx.beginPath();
    eachTile(camera, zoom, (x, y) => {
      const key = `${zoom}/${x}/${y}`;
      const tile = this.#tiles.get(key);
      if (tile === undefined) void this.#read(key);
      for (const ring of tile ?? []) trace(ctx, camera, ring, (x + 0.5) / 2 ** zoom);
    });
    ctx.fill('evenodd');
  }

  /** @param {string} key */
  async #read(key) {
    this.#tiles.set(key, null);
    try {
      const { rings } = await get(`/map/land/${key}`);
      this.#tiles.set(key, rings.map(projected));
      this.#onTile();
    } catch {
      setTimeout(() => this.#tiles.delete(key), RETRY_MS);
    }
  }
}

/**
 * Each tile of a zoom that is in sight.
 * @param {import('./camera.js').Camera} camera
 * @param {number} zoom
 * @param {(x: number, y: number, column: number) => void} visit `column` counts on beyond the world's edge
 */
export function eachTile(camera, zoom, visit) {
  const tiles = 2 ** zoom;
  const halfWidth = camera.width / camera.scale / 2;
  const halfHeight = camera.height / camera.scale / 2;
  const top = Math.max(0, Math.floor((camera.y - halfHeight) * tiles));
  const bottom = Math.min(tiles - 1, Math.floor((camera.y + halfHeight) * tiles));
  const left = Math.floor((camera.x - halfWidth) * tiles);
  const right = Math.min(left + tiles - 1, Math.floor((camera.x + halfWidth) * tiles));
  for (let y = top; y <= bottom; y++) {
    for (let column = left; column <= right; column++) {
      visit(((column % tiles) + tiles) % tiles, y, column);
    }
  }
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {import('./camera.js').Camera} camera
 * @param {Float64Array} ring
 * @param {number} middle of its tile, which decides on which side of the world's edge all of it lies
 */
function trace(ctx, camera, ring, middle) {
  const turn = Math.round(camera.x - middle);
  for (let i = 0; i < ring.length; i += 2) {
    const there = /** @type {number} */ (ring[i]) + turn;
    const x = (there - camera.x) * camera.scale + camera.width / 2;
    const y = camera.screenY(/** @type {number} */ (ring[i + 1]));
    if (i === 0) ctx.moveTo(x, y);
    else ctx.lineTo(x, y);
  }
  ctx.closePath();
}

/** @param {number[]} ring `[lng, lat, …]` */
function projected(ring) {
  const points = new Float64Array(ring.length);
  for (let i = 0; i < ring.length; i += 2) {
    points[i] = toX(/** @type {number} */ (ring[i]));
    points[i + 1] = toY(/** @type {number} */ (ring[i + 1]));
  }
  return points;
}
