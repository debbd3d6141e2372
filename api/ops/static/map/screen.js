/** What the map is drawn on: two canvases, as fine as the screen is, with the theme's colours. */
import { readColours } from './colours.js';
import { driverSprites } from './sprites.js';

export class Screen {
  colours;
  /** @type {HTMLCanvasElement[]} */
  sprites = [];
  #ground;
  #live;
  #ratio = 1;

  /** @param {HTMLCanvasElement} ground the lower one @param {HTMLCanvasElement} live */
  constructor(ground, live) {
    this.#ground = ground;
    this.#live = live;
    this.colours = readColours(live);
  }

  /** Takes the size that the canvases have on the page; both are empty then. */
  resize() {
    const { width, height } = this.#live.getBoundingClientRect();
    this.#ratio = devicePixelRatio;
    for (const canvas of [this.#ground, this.#live]) {
      canvas.width = Math.round(width * this.#ratio);
      canvas.height = Math.round(height * this.#ratio);
    }
    this.recolour();
    return { width, height };
  }

  /** Takes the theme's colours. */
  recolour() {
    this.colours = readColours(this.#live);
    this.sprites = driverSprites(this.colours, this.#ratio);
  }

  ground() {
    return this.#begin(this.#ground);
  }

  live() {
    const ctx = this.#begin(this.#live);
    ctx.clearRect(0, 0, this.#live.width, this.#live.height);
    return ctx;
  }

  /** A pixel of the page is the unit. @param {HTMLCanvasElement} canvas */
  #begin(canvas) {
    const ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
    ctx.setTransform(this.#ratio, 0, 0, this.#ratio, 0, 0);
    return ctx;
  }
}
