/** The visible part of the world: the place in the middle, and the zoom. */
import { LAT_MAX, toLat, toLng, toX, toY, worldWidthKm } from './mercator.js';

/** The width of the world in pixels at zoom 0, as with all tiles. */
const WORLD_PX = 256;
const ZOOM_MIN = 1;
/** A house fills the screen. */
const ZOOM_MAX = 19;
/** The nearest zoom when fitting: a fleet of one driver is a single place. */
const FIT_ZOOM_MAX = 15;
/** The share of each side that stays free around what is fitted. */
const FIT_MARGIN = 0.08;
/** The same for being well in sight: smaller, so that what was fitted counts. */
const SEEN_MARGIN = FIT_MARGIN / 2;

/** @typedef {{west: number, south: number, east: number, north: number}} Bounds degrees */

export class Camera {
  x = 0.5;
  y = 0.5;
  zoom = 2;
  width = 1;
  height = 1;

  /** Pixels of the world's width. */
  get scale() {
    return WORLD_PX * 2 ** this.zoom;
  }

  /** Where a place is on the screen; the copy of the world that is nearest to the middle counts. @param {number} x */
  screenX(x) {
    const off = x - this.x;
    return (off - Math.round(off)) * this.scale + this.width / 2;
  }

  /** @param {number} y */
  screenY(y) {
    return (y - this.y) * this.scale + this.height / 2;
  }

  /** Is a place in sight, and not just at the edge? @param {number} lat @param {number} lng */
  sees(lat, lng) {
    const x = this.screenX(toX(lng)) / this.width;
    const y = this.screenY(toY(lat)) / this.height;
    return Math.min(x, y, 1 - x, 1 - y) > SEEN_MARGIN;
  }

  /** How many kilometres a pixel in the middle is. */
  get kmPerPx() {
    return worldWidthKm(toLat(this.y)) / this.scale;
  }

  /** @param {number} width @param {number} height CSS pixels */
  resize(width, height) {
    this.width = Math.max(1, width);
    this.height = Math.max(1, height);
    this.#keepInWorld();
  }

  /** Moves the view by this many pixels. @param {number} dx @param {number} dy */
  pan(dx, dy) {
    this.x -= dx / this.scale;
    this.y -= dy / this.scale;
    this.#keepInWorld();
  }

  /**
   * Zooms in; the place at this pixel stays there.
   * @param {number} by
   * @param {number} [px]
   * @param {number} [py]
   */
  zoomBy(by, px = this.width / 2, py = this.height / 2) {
    const [left, top] = [px - this.width / 2, py - this.height / 2];
    const before = this.scale;
    this.zoom = Math.min(ZOOM_MAX, Math.max(ZOOM_MIN, this.zoom + by));
    this.x += left / before - left / this.scale;
    this.y += top / before - top / this.scale;
    this.#keepInWorld();
  }

  /** @param {number} lat @param {number} lng @param {number} [zoom] */
  lookAt(lat, lng, zoom = this.zoom) {
    this.zoom = Math.min(ZOOM_MAX, Math.max(ZOOM_MIN, zoom));
    this.x = toX(lng);
    this.y = toY(lat);
    this.#keepInWorld();
  }

  /** Shows all of it. @param {Bounds} bounds */
  fit({ west, south, east, north }) {
    const [left, right] = [toX(west), toX(east < west ? east + 360 : east)];
    const [top, bottom] = [toY(north), toY(south)];
    const free = 1 - 2 * FIT_MARGIN;
    const scale = Math.min(
      (this.width * free) / Math.max(right - left, Number.EPSILON),
      (this.height * free) / Math.max(bottom - top, Number.EPSILON),
    );
    const zoom = Math.min(FIT_ZOOM_MAX, Math.log2(scale / WORLD_PX));
    this.lookAt(toLat((top + bottom) / 2), toLng((left + right) / 2), zoom);
  }

  /**
   * West, south, east, north of the view, plus this share of its sides around it.
   * @param {number} [margin]
   */
  box(margin = 0) {
    const halfWidth = (this.width / this.scale) * (0.5 + margin);
    const halfHeight = (this.height / this.scale) * (0.5 + margin);
    const south = Math.max(-LAT_MAX, toLat(this.y + halfHeight));
    const north = Math.min(LAT_MAX, toLat(this.y - halfHeight));
    if (halfWidth >= 0.5) return [-180, south, 180, north];
    return [turned(toLng(this.x - halfWidth)), south, turned(toLng(this.x + halfWidth)), north];
  }

  /** For the URL: `LAT,LNG,ZOOM`. */
  toString() {
    const digits = Math.max(2, Math.ceil(this.zoom / 3));
    const [lat, lng] = [toLat(this.y).toFixed(digits), turned(toLng(this.x)).toFixed(digits)];
    return `${lat},${lng},${this.zoom.toFixed(2)}`;
  }

  /** Takes what `toString` wrote; false for any other text. @param {string} text */
  lookAtText(text) {
    const parts = text.split(',').map(Number);
    const [lat = Number.NaN, lng = Number.NaN, zoom = Number.NaN] = parts;
    if (parts.length !== 3 || !parts.every(Number.isFinite)) return false;
    this.lookAt(lat, lng, zoom);
    return true;
  }

  #keepInWorld() {
    this.x -= Math.floor(this.x);
    this.y = Math.min(1, Math.max(0, this.y));
  }
}

/** The same meridian between -180 and 180. @param {number} lng */
const turned = (lng) => ((((lng + 180) % 360) + 360) % 360) - 180;
