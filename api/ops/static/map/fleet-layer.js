/**
 * Drivers on the map: the state of each, and the picture of all of them, made pixel by pixel. Everything is
 * in typed arrays by handle, so that a frame allocates nothing.
 */
import { isHeld } from '../lib/names.js';
import { Movement } from './movement.js';
import { DRAWN_STATES, halfOf } from './sprites.js';

/** Handles count upwards from 1; room for this many before the arrays must grow. */
const FIRST_CAPACITY = 1024;
const HIT_PX = 14;
const OUT_OF_SIGHT = -1;
/** The alpha of an opaque pixel. */
const OPAQUE = 255;

export class FleetLayer {
  movement = new Movement();
  /** Drivers are counted by cell, not drawn one by one. */
  isCounted = false;
  /** The picture must be made anew even if nobody moves. */
  isOld = true;
  /** One bit for each of DRAWN_STATES that is not shown. */
  #hidden = 0;
  /** @type {(import('../lib/feed.js').Driver | undefined)[]} */
  #drivers = [];
  #count = 0;
  #state = new Uint8Array(0);
  #holds = new Uint8Array(0);
  /** The place on the screen, for the pointer. */
  #screenX = new Float32Array(0);
  #screenY = new Float32Array(0);
  /** The same place as an index in the picture. */
  #pixel = new Int32Array(0);

  /** All of them anew, where they are. @param {Iterable<import('../lib/feed.js').Driver>} drivers */
  reset(drivers) {
    this.isOld = true;
    this.#drivers = [];
    this.#count = 0;
    this.movement.forgetAll();
    for (const driver of drivers) this.put(driver);
  }

  /** He is new, or in another state. @param {import('../lib/feed.js').Driver} driver */
  put(driver) {
    this.isOld = true;
    const { handle, state, lat, lng } = driver;
    this.#grow(handle);
    if (handle >= this.#count) this.#count = handle + 1;
    const isNew = this.#drivers[handle] === undefined;
    this.#drivers[handle] = driver;
    this.#state[handle] = DRAWN_STATES.indexOf(/** @type {'offline'} */ (state));
    if (lat === null || lng === null) this.movement.forget(handle);
    else if (isNew || !this.movement.knows(handle)) {
      this.movement.put(handle, lat, lng, performance.now());
    }
  }

  /** @param {readonly number[]} fixes `[handle, lat, lng, …]` @param {number} now */
  move(fixes, now) {
    for (let i = 0; i < fixes.length; i += 3) {
      const handle = /** @type {number} */ (fixes[i]);
      if (this.#drivers[handle] === undefined) continue;
      const lat = /** @type {number} */ (fixes[i + 1]);
      const lng = /** @type {number} */ (fixes[i + 2]);
      this.movement.move(handle, lat, lng, now);
    }
  }

  /** Drivers in view who are not among these fixes are elsewhere. @param {readonly number[]} fixes of all in view */
  keepOnly(fixes) {
    const told = new Set();
    for (let i = 0; i < fixes.length; i += 3) told.add(fixes[i]);
    for (let handle = 1; handle < this.#count; handle++) {
      if (!told.has(handle)) this.movement.forget(handle);
    }
  }

  /** @param {boolean} isCounted */
  setCounted(isCounted) {
    if (isCounted === this.isCounted) return;
    this.isCounted = isCounted;
    this.isOld = true;
    this.movement.until = 0;
  }

  /** @param {number} hidden one bit for each of DRAWN_STATES */
  setHidden(hidden) {
    this.isOld = true;
    this.#hidden = hidden;
  }

  /**
   * A driver who holds a job has a ring; one for whom a job is reserved does not hold it yet.
   * @param {readonly import('../lib/feed.js').Job[]} jobs
   * @param {ReadonlyMap<string, import('../lib/feed.js').Driver>} drivers
   */
  setHolders(jobs, drivers) {
    this.isOld = true;
    this.#holds.fill(0);
    for (const { status, driver_id } of jobs) {
      const driver = isHeld(status) && drivers.get(driver_id ?? '');
      if (driver) this.#holds[driver.handle] = 1;
    }
  }

  /**
   * Makes the picture of the fleet; false when it is the same as before.
   * @param {import('./screen.js').Screen} screen
   * @param {import('./camera.js').Camera} camera
   * @param {number} now
   */
  draw(screen, camera, now) {
    const isSame = this.isCounted || !this.#toScreen(screen, camera, now);
    if (isSame && !this.isOld) return false;
    this.isOld = false;
    const { pixels, sprites } = screen;
    pixels.fill(0);
    for (let state = 0; state < DRAWN_STATES.length; state++) {
      if (this.isCounted || this.#hidden & (1 << state)) continue;
      for (let handle = 1; handle < this.#count; handle++) {
        const pixel = /** @type {number} */ (this.#pixel[handle]);
        if (this.#state[handle] !== state || pixel === OUT_OF_SIGHT) continue;
        const sprite = sprites[2 * state + /** @type {number} */ (this.#holds[handle])];
        if (sprite) stamp(pixels, pixel, sprite);
      }
    }
    return true;
  }

  /** Is his state one of those that are shown? @param {number} handle */
  isShown(handle) {
    return (this.#hidden & (1 << /** @type {number} */ (this.#state[handle]))) === 0;
  }

  /** Where he is drawn now, in the world's square; null if unknown. @param {number} handle @param {number} now */
  placeOf(handle, now) {
    if (this.#drivers[handle] === undefined || !this.movement.knows(handle)) return null;
    return { x: this.movement.xAt(handle, now), y: this.movement.yAt(handle, now) };
  }

  /** The driver at this pixel, as of the last frame. @param {number} px @param {number} py */
  at(px, py) {
    if (this.isCounted) return null;
    let nearest = HIT_PX * HIT_PX;
    let found = null;
    for (let handle = 1; handle < this.#count; handle++) {
      if (!this.isShown(handle)) continue;
      const dx = /** @type {number} */ (this.#screenX[handle]) - px;
      const dy = /** @type {number} */ (this.#screenY[handle]) - py;
      const distance = dx * dx + dy * dy;
      if (!(distance < nearest)) continue;
      nearest = distance;
      found = this.#drivers[handle] ?? null;
    }
    return found;
  }

  /**
   * Computes the pixel of every visible driver; false when no pixel has changed.
   * @param {import('./screen.js').Screen} screen
   * @param {import('./camera.js').Camera} camera
   * @param {number} now
   */
  #toScreen({ ratio, stride, margin }, camera, now) {
    const { x: middle, y: level, scale, width, height } = camera;
    const edge = halfOf(ratio) / ratio;
    let hasChanged = false;
    for (let handle = 1; handle < this.#count; handle++) {
      let pixel = OUT_OF_SIGHT;
      const off = this.movement.xAt(handle, now) - middle;
      const x = (off - Math.round(off)) * scale + width / 2;
      const y = (this.movement.yAt(handle, now) - level) * scale + height / 2;
      this.#screenX[handle] = x;
      this.#screenY[handle] = y;
      // For a driver without a place (NaN) no comparison is true.
      if (x > -edge && y > -edge && x < width + edge && y < height + edge) {
        pixel = (Math.round(y * ratio) + margin) * stride + Math.round(x * ratio) + margin;
      }
      if (this.#pixel[handle] === pixel) continue;
      this.#pixel[handle] = pixel;
      hasChanged = true;
    }
    return hasChanged;
  }

  /** @param {number} handle */
  #grow(handle) {
    if (handle < this.#state.length) return;
    const capacity = Math.max(FIRST_CAPACITY, 2 ** Math.ceil(Math.log2(handle + 1)));
    this.movement.grow(capacity);
    this.#state = widened(this.#state, capacity);
    this.#holds = widened(this.#holds, capacity);
    this.#screenX = new Float32Array(capacity);
    this.#screenY = new Float32Array(capacity);
    this.#pixel = new Int32Array(capacity);
  }
}

/** @param {Uint32Array} pixels @param {number} at @param {import('./sprites.js').Sprite} sprite */
function stamp(pixels, at, { offsets, pixels: own }) {
  for (let i = 0; i < offsets.length; i++) {
    const there = at + /** @type {number} */ (offsets[i]);
    const pixel = /** @type {number} */ (own[i]);
    // A half transparent edge must not erase the driver below.
    if (pixel >>> 24 === OPAQUE || pixels[there] === 0) pixels[there] = pixel;
  }
}

/** @param {Uint8Array} old @param {number} capacity */
function widened(old, capacity) {
  const array = new Uint8Array(capacity);
  array.set(old);
  return array;
}
