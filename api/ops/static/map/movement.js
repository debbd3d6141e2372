/**
 * Where drivers are between their fixes: each moves evenly from where he is drawn to his newest fix. Typed
 * arrays by handle, so that a frame allocates nothing.
 */
import { toX, toY } from './mercator.js';

/** Fixes come once a second at most; with fewer, a move lasts as long as the time between fixes. */
const MOVE_MIN_MS = 1000;
const MOVE_MAX_MS = 5000;
/** A little longer, in case the next fix is late: nobody stops in between. */
const LATE = 1.15;
const NOWHERE = Number.NaN;

export class Movement {
  /** Until when any driver moves, by the frames' clock. */
  until = 0;
  /** With reduced motion drivers do not glide; they jump. */
  isStill = false;
  #fromX = new Float64Array(0);
  #fromY = new Float64Array(0);
  #toX = new Float64Array(0);
  #toY = new Float64Array(0);
  #since = new Float64Array(0);
  /** How long his move lasts, ms. */
  #span = new Float64Array(0);

  /** Is it known where he is? @param {number} handle */
  knows(handle) {
    return !Number.isNaN(this.#toX[handle]);
  }

  /** @param {number} handle */
  forget(handle) {
    this.#toX[handle] = NOWHERE;
  }

  forgetAll() {
    this.#toX.fill(NOWHERE);
  }

  /** Puts him there at once. @param {number} handle @param {number} lat @param {number} lng @param {number} now */
  put(handle, lat, lng, now) {
    this.#toX[handle] = this.#fromX[handle] = toX(lng);
    this.#toY[handle] = this.#fromY[handle] = toY(lat);
    this.#since[handle] = now;
    this.#span[handle] = 0;
  }

  /** Moves him there. @param {number} handle @param {number} lat @param {number} lng @param {number} now */
  move(handle, lat, lng, now) {
    if (this.isStill || !this.knows(handle)) {
      this.put(handle, lat, lng, now);
      return;
    }
    const x = toX(lng);
    const fromX = this.xAt(handle, now);
    // Across the antimeridian take the short way.
    this.#fromX[handle] = fromX + Math.round(x - fromX);
    this.#fromY[handle] = this.yAt(handle, now);
    this.#toX[handle] = x;
    this.#toY[handle] = toY(lat);
    const apart = now - /** @type {number} */ (this.#since[handle]);
    const span = LATE * Math.min(MOVE_MAX_MS, Math.max(MOVE_MIN_MS, apart));
    this.#since[handle] = now;
    this.#span[handle] = span;
    this.until = Math.max(this.until, now + span);
  }

  /** In the world's square; NaN while it is not known. @param {number} handle @param {number} now */
  xAt(handle, now) {
    return between(this.#fromX[handle], this.#toX[handle], this.#shareAt(handle, now));
  }

  /** @param {number} handle @param {number} now */
  yAt(handle, now) {
    return between(this.#fromY[handle], this.#toY[handle], this.#shareAt(handle, now));
  }

  /** Makes room for handles below this. @param {number} capacity */
  grow(capacity) {
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
  }

  /** The share of his move that is done. @param {number} handle @param {number} now */
  #shareAt(handle, now) {
    const since = /** @type {number} */ (this.#since[handle]);
    const span = /** @type {number} */ (this.#span[handle]);
    return now - since >= span ? 1 : (now - since) / span;
  }
}

/** @param {number | undefined} from @param {number | undefined} to @param {number} share */
const between = (from = NOWHERE, to = NOWHERE, share) =>
  share === 1 ? to : from + (to - from) * share;
