/**
 * The canvases of the map: three over each other, at the screen's resolution, with the theme's colours. The
 * ground below and the marks above are drawn, the drivers in between are copied as pixels.
 */
import { readColours } from './colours.js';
import { driverSprites, halfOf } from './sprites.js';

/** @typedef {{ground: HTMLCanvasElement, fleet: HTMLCanvasElement, marks: HTMLCanvasElement}} Canvases */

export class Screen {
  colours;
  /** @type {import('./sprites.js').Sprite[]} */
  sprites = [];
  /** Screen pixels per CSS pixel. */
  ratio = 1;
  /** The picture of the fleet, larger than the canvas so that no sprite is cut. */
  margin = 0;
  stride = 0;
  pixels = new Uint32Array(0);
  #image = new ImageData(1, 1);
  #canvases;

  /** @param {Canvases} canvases */
  constructor(canvases) {
    this.#canvases = canvases;
    this.colours = readColours(canvases.marks);
  }

  /** Takes the size that the canvases have on the page; they are empty then. */
  resize() {
    const { width, height } = this.#canvases.marks.getBoundingClientRect();
    this.ratio = devicePixelRatio;
    const [columns, rows] = [Math.round(width * this.ratio), Math.round(height * this.ratio)];
    for (const canvas of Object.values(this.#canvases)) {
      canvas.width = columns;
      canvas.height = rows;
    }
    this.margin = 2 * halfOf(this.ratio);
    this.stride = columns + 2 * this.margin;
    this.#image = new ImageData(this.stride, rows + 2 * this.margin);
    this.pixels = new Uint32Array(this.#image.data.buffer);
    this.recolour();
    return { width, height };
  }

  /** Takes the theme's colours. */
  recolour() {
    this.colours = readColours(this.#canvases.marks);
    this.sprites = driverSprites(this.colours, this.ratio, this.stride);
  }

  /** A pixel of the page is the unit. */
  ground() {
    return this.#begin(this.#canvases.ground);
  }

  /** Empty; a pixel of the page is the unit. */
  marks() {
    const ctx = this.#begin(this.#canvases.marks);
    ctx.clearRect(0, 0, this.#canvases.marks.width, this.#canvases.marks.height);
    return ctx;
  }

  /** Shows the picture of the fleet as it is now. */
  showFleet() {
    contextOf(this.#canvases.fleet).putImageData(this.#image, -this.margin, -this.margin);
  }

  /** @param {HTMLCanvasElement} canvas */
  #begin(canvas) {
    const ctx = contextOf(canvas);
    ctx.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    return ctx;
  }
}

/** @param {HTMLCanvasElement} canvas */
const contextOf = (canvas) => /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
