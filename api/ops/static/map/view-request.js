/** The part of the world for which positions are requested: somewhat more than is in sight. */

/** The share of the sides added around the view: a small pan needs no new request. */
const MARGIN = 0.25;
/** After zooming in this far, most positions sent would be out of sight. */
const ZOOM_IN = 1;

export class ViewRequest {
  #send;
  /** @type {{box: number[], zoom: number} | null} */
  #asked = null;

  /** @param {(box: readonly number[]) => void} send */
  constructor(send) {
    this.#send = send;
  }

  /** @param {import('./camera.js').Camera} camera */
  follow(camera) {
    const asked = this.#asked;
    const isNear = asked !== null && camera.zoom - asked.zoom < ZOOM_IN;
    if (isNear && contains(asked.box, camera.box())) return;
    this.#asked = { box: camera.box(MARGIN), zoom: camera.zoom };
    this.#send(this.#asked.box);
  }

  /** Requests the positions of everybody in it anew. */
  askAgain() {
    if (this.#asked) this.#send(this.#asked.box);
  }
}

/** @param {readonly number[]} outer @param {readonly number[]} inner both west, south, east, north */
function contains(outer, inner) {
  const [west = 0, south = 0, east = 0, north = 0] = outer;
  const [innerWest = 0, innerSouth = 0, innerEast = 0, innerNorth = 0] = inner;
  if (innerSouth < south || innerNorth > north) return false;
  // Measured eastwards from the outer box's west, so that the antimeridian does not matter.
  const from = (/** @type {number} */ lng) => (((lng - west) % 360) + 360) % 360;
  const width = east - west === 360 ? 360 : from(east);
  return from(innerWest) <= width && from(innerEast) <= width && from(innerWest) <= from(innerEast);
}
