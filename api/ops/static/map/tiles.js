/** Raster tiles under the map, where the deployment has configured some. */
import { tiles as address } from '../lib/page-facts.js';
import { eachTile } from './land.js';

/** The finest zoom that tile servers have. */
const ZOOM_MAX = 19;
/** About three screens; the oldest are forgotten. */
const KEPT_MAX = 256;

export class Tiles {
  /** @type {Map<string, HTMLImageElement>} */
  #images = new Map();
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
    if (address === '') return;
    const zoom = Math.min(ZOOM_MAX, Math.max(0, Math.round(camera.zoom)));
    const side = 1 / 2 ** zoom;
    eachTile(camera, zoom, (x, y, column) => {
      const image = this.#image(zoom, x, y);
      if (!image.complete || image.naturalWidth === 0) return;
      const left = (column * side - camera.x) * camera.scale + camera.width / 2;
      const top = camera.screenY(y * side);
      // Slightly enlarged, so that no seam shows.
      ctx.drawImage(image, left, top, side * camera.scale + 0.5, side * camera.scale + 0.5);
    });
  }

  /** @param {number} zoom @param {number} x @param {number} y */
  #image(zoom, x, y) {
    const key = `${zoom}/${x}/${y}`;
    const known = this.#images.get(key);
    if (known) return known;
    const image = new Image();
    image.onload = this.#onTile;
    image.src = address
      .replace('{z}', String(zoom))
      .replace('{x}', String(x))
      .replace('{y}', String(y));
    this.#images.set(key, image);
    const [oldest] = this.#images.keys();
    if (this.#images.size > KEPT_MAX && oldest !== undefined) this.#images.delete(oldest);
    return image;
  }
}
