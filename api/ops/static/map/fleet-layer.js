/**
 * Drivers on the map: where each was told to be and where he was shown before, in typed arrays by his
 * handle, so that a frame makes nothing anew. Between two fixes he moves evenly from the one to the
 * other.
 */
import { isHeld } from '../lib/names.js';
import { toX, toY } from './mercator.js';
import { DRAWN_STATES, SPRITE_PX } from './sprites.js';

/** Fixes come once a second at most; a phone that sends fewer moves as long as its fixes are apart. */
const MOVE_MIN_MS = 1000;
const MOVE_MAX_MS = 5000;
/** A little longer, for the next one that comes late: nobody stops in between. */
const LATE = 1.15;
const FIRST_CAPACITY = 1024;
/** Not known where. */
const NOWHERE = Number.NaN;
const HIT_PX = 14;

export class FleetLayer {
  /** Until when somebody moves, by the frames' clock. */
  movingUntil = 0;
  /** Nobody jumps for who asked for less motion; he is simply there. */
  isStill = false;
  /** One bit for each of DRAWN_STATES that is not shown. */
  hidden = 0;
  /** @type {(import('../lib/feed.js').Driver | undefined)[]} */
  #drivers = [];
  #count = 0;
  #fromX = new Float64Array(FIRST_CAPACITY);
  #fromY = new Float64Array(FIRST_CAPACITY);
  #toX = new Float64Array(FIRST_CAPACITY);
  #toY = new Float64Array(FIRST_CAPACITY);
  #since = new Float64Array(FIRST_CAPACITY);
  /** How long his move lasts, ms. */
  #span = new Float64Array(FIRST_CAPACITY);
  #state = new Uint8Array(FIRST_CAPACITY);
  #holds = new Uint8Array(FIRST_CAPACITY);
  /** Where he is on the screen, for the pointer. */
  #screenX = new Float32Array(FIRST_CAPACITY);
  #screenY = new Float32Array(FIRST_CAPACITY);

  /** All of them anew, where they are. @param {Iterable<import('../lib/feed.js').Driver>} drivers */
  reset(drivers) {
    this.#drivers = [];
    this.#count = 0;
    this.#toX.fill(NOWHERE);
    for (const driver of drivers) this.put(driver);
  }

  /** He is new, or in another state. @param {import('../lib/feed.js').Driver} driver */
  put(driver) {
    const { handle, state, lat, lng } = driver;
    this.#grow(handle);
    if (handle >= this.#count) this.#count = handle + 1;
    const isNew = this.#drivers[handle] === undefined;
    this.#drivers[handle] = driver;
    this.#state[handle] = DRAWN_STATES.indexOf(/** @type {'offline'} */ (state));
    if (lat === null || lng === null) this.#toX[handle] = NOWHERE;
    else if (isNew || Number.isNaN(this.#toX[handle]))
      this.#place(handle, lat, lng, performance.now(), true);
  }

  /** @param {readonly number[]} fixes `[handle, lat, lng, …]` @param {number} now */
  move(fixes, now) {
    for (let i = 0; i < fixes.length; i += 3) {
      const handle = /** @type {number} */ (fixes[i]);
      if (this.#drivers[handle] === undefined) continue;
      const [lat, lng] = [
        /** @type {number} */ (fixes[i + 1]),
        /** @type {number} */ (fixes[i + 2]),
      ];
      this.#place(handle, lat, lng, now, this.isStill || Number.isNaN(this.#toX[handle]));
    }
  }

  /** Where nobody told of these was, nobody is. @param {readonly number[]} fixes of all in view */
  keepOnly(fixes) {
    const told = new Set();
    for (let i = 0; i < fixes.length; i += 3) told.add(fixes[i]);
    for (let handle = 1; handle < this.#count; handle++) {
      if (!told.has(handle)) this.#toX[handle] = NOWHERE;
    }
  }

  /**
   * Who holds a job has a ring; for whom one is reserved does not hold it yet.
   * @param {readonly import('../lib/feed.js').Job[]} jobs
   * @param {ReadonlyMap<string, import('../lib/feed.js').Driver>} drivers
   */
  setHolders(jobs, drivers) {
    this.#holds.fill(0);
    for (const { status, driver_id } of jobs) {
      const driver = isHeld(status) && drivers.get(driver_id ?? '');
      if (driver) this.#holds[driver.handle] = 1;
    }
  }

  /**
   * @param {CanvasRenderingContext2D} ctx
   * @param {import('./camera.js').Camera} camera
   * @param {readonly HTMLCanvasElement[]} sprites
   * @param {number} now
   */
  draw(ctx, camera, sprites, now) {
    this.#toScreen(camera, now);
    const half = SPRITE_PX / 2;
    for (let state = 0; state < DRAWN_STATES.length; state++) {
      if (this.hidden & (1 << state)) continue;
      for (let handle = 1; handle < this.#count; handle++) {
        if (this.#state[handle] !== state) continue;
        const x = /** @type {number} */ (this.#screenX[handle]);
        if (Number.isNaN(x)) continue;
        const picture = sprites[2 * state + /** @type {number} */ (this.#holds[handle])];
        const y = /** @type {number} */ (this.#screenY[handle]);
        ctx.drawImage(
          /** @type {HTMLCanvasElement} */ (picture),
          x - half,
          y - half,
          SPRITE_PX,
          SPRITE_PX,
        );
      }
    }
  }

  /** Where he is shown now, in the world's square; null when that is not known. @param {number} handle @param {number} now */
  placeOf(handle, now) {
    if (this.#drivers[handle] === undefined || Number.isNaN(this.#toX[handle])) return null;
    return { x: this.#xAt(handle, now), y: this.#yAt(handle, now) };
  }

  /** The driver at this pixel, as of the last frame. @param {number} px @param {number} py */
  at(px, py) {
    let nearest = HIT_PX * HIT_PX;
    let found = null;
    for (let handle = 1; handle < this.#count; handle++) {
      if (this.hidden & (1 << /** @type {number} */ (this.#state[handle]))) continue;
      const dx = /** @type {number} */ (this.#screenX[handle]) - px;
      const dy = /** @type {number} */ (this.#screenY[handle]) - py;
      const distance = dx * dx + dy * dy;
      if (!(distance < nearest)) continue;
      nearest = distance;
      found = this.#drivers[handle] ?? null;
    }
    return found;
  }

  /** Who is in sight is put on the screen, nobody else. @param {import('./camera.js').Camera} camera @param {number} now */
  #toScreen(camera, now) {
    const { x: middle, y: level, scale, width, height } = camera;
    for (let handle = 1; handle < this.#count; handle++) {
      this.#screenX[handle] = NOWHERE;
      if (Number.isNaN(this.#toX[handle])) continue;
      const off = this.#xAt(handle, now) - middle;
      const x = (off - Math.round(off)) * scale + width / 2;
      const y = (this.#yAt(handle, now) - level) * scale + height / 2;
      if (x < -SPRITE_PX || y < -SPRITE_PX || x > width + SPRITE_PX || y > height + SPRITE_PX)
        continue;
      this.#screenX[handle] = x;
      this.#screenY[handle] = y;
    }
  }

  /** @param {number} handle @param {number} now */
  #xAt(handle, now) {
    return between(this.#fromX[handle], this.#toX[handle], this.#shareAt(handle, now));
  }

  /** @param {number} handle @param {number} now */
  #yAt(handle, now) {
    return between(this.#fromY[handle], this.#toY[handle], this.#shareAt(handle, now));
  }

  /** How much of his move is behind him. @param {number} handle @param {number} now */
  #shareAt(handle, now) {
    const since = /** @type {number} */ (this.#since[handle]);
    const span = /** @type {number} */ (this.#span[handle]);
    return now - since >= span ? 1 : (now - since) / span;
  }

  /** @param {number} handle @param {number} lat @param {number} lng @param {number} now @param {boolean} atOnce */
  #place(handle, lat, lng, now, atOnce) {
    const [x, y] = [toX(lng), toY(lat)];
    // He is seen to go on from where he is seen.
    const fromX = atOnce ? x : this.#xAt(handle, now);
    this.#fromY[handle] = atOnce ? y : this.#yAt(handle, now);
    // Over the antimeridian it is the short way.
    this.#fromX[handle] = fromX + Math.round(x - fromX);
    this.#toX[handle] = x;
    this.#toY[handle] = y;
    const apart = now - /** @type {number} */ (this.#since[handle]);
    const span = LATE * Math.min(MOVE_MAX_MS, Math.max(MOVE_MIN_MS, apart));
    this.#span[handle] = atOnce ? 0 : span;
    this.#since[handle] = now;
    if (!atOnce) this.movingUntil = Math.max(this.movingUntil, now + span);
  }

  /** @param {number} handle */
  #grow(handle) {
    if (handle < this.#toX.length) return;
    const capacity = 2 ** Math.ceil(Math.log2(handle + 1));
    const larger = (/** @type {Float64Array} */ old) => {
      const array = new Float64Array(capacity).fill(NOWHERE);
      array.set(old);
      return array;
    };
    this.#fromX = larger(this.#fromX);
    this.#fromY = larger(this.#fromY);
    this.#toX = larger(this.#toX);
    this.#toY = larger(this.#toY);
    this.#since = larger(this.#since);
    this.#span = larger(this.#span);
    this.#state = widened(this.#state, capacity);
    this.#holds = widened(this.#holds, capacity);
    this.#screenX = new Float32Array(capacity).fill(NOWHERE);
    this.#screenY = new Float32Array(capacity).fill(NOWHERE);
  }
}

/** @param {Uint8Array} old @param {number} capacity */
function widened(old, capacity) {
  const array = new Uint8Array(capacity);
  array.set(old);
  return array;
}

/** @param {number | undefined} from @param {number | undefined} to @param {number} share */
const between = (from = 0, to = 0, share) => (share === 1 ? to : from + (to - from) * share);
