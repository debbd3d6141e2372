/**
 * The live map: a camera over its layers, moved by pointer, keys or a followed driver, and fed with
 * positions.
 */
import { feedNow, onFleet, view } from '../lib/feed.js';
import { onTheme } from '../lib/theme.js';
import { boundsOf } from './bounds.js';
import { Camera } from './camera.js';
import { Layers } from './layers.js';
import { createLoop } from './loop.js';
import { listenToArrows, listenToPointers } from './pointer.js';
import { ViewRequest } from './view-request.js';

/**
 * @typedef {object} Picked
 * @property {'job' | 'driver'} kind
 * @property {string} id
 *
 * @typedef {{lat: number | null, lng: number | null}} Place
 *
 * @typedef {object} Host
 * @property {import('./screen.js').Canvases} canvases
 * @property {(picked: Picked | null) => void} onPick
 * @property {() => void} onCamera what is in sight has changed
 * @property {(isCounted: boolean) => void} onCounted drivers are counted by cell, or drawn one by one
 * @property {() => void} onPan somebody moved the map by hand
 */

export class LiveMap {
  camera = new Camera();
  #host;
  #layers;
  #view = new ViewRequest(view);
  /** When it was frozen, by the frames' clock; null: it is not. @type {number | null} */
  #frozenAt = null;
  /** @type {Place | null} */
  #selected = null;
  /** The driver whom the camera follows. @type {string | null} */
  #followed = null;
  #ask = createLoop((now) => this.#draw(now));
  #gone = new AbortController();

  /** @param {Host} host */
  constructor(host) {
    this.#host = host;
    this.#layers = new Layers(host.canvases, this.#ask);
    const { signal } = this.#gone;
    const stillness = matchMedia('(prefers-reduced-motion: reduce)');
    const beStill = () => {
      this.#layers.fleet.movement.isStill = stillness.matches;
    };
    beStill();
    stillness.addEventListener('change', beStill, { signal });
    const resizing = new ResizeObserver(() => this.#resize());
    resizing.observe(host.canvases.marks);
    signal.addEventListener('abort', () => resizing.disconnect());
    signal.addEventListener(
      'abort',
      onFleet((event, data) => this.#onFleet(event, data)),
    );
    signal.addEventListener(
      'abort',
      onTheme(() => this.#change((layers) => layers.recolour())),
    );
    this.#listen();
    this.#resize();
    this.#layers.fleet.reset(feedNow().drivers.values());
  }

  close() {
    this.#gone.abort();
  }

  /** Shows all drivers of these states; without any, the open jobs. @param {ReadonlySet<string>} states */
  fit(states) {
    const { drivers, jobs } = feedNow();
    const shown = [...drivers.values()].filter(({ state }) => states.has(state));
    const bounds =
      boundsOf(shown) ?? boundsOf([...jobs.values()]) ?? boundsOf([...drivers.values()]);
    if (bounds) this.camera.fit(bounds);
    this.cameraMoved();
  }

  /** Brings the selection into sight unless it is there. @param {Place | null} place */
  show(place) {
    this.#selected = place;
    if (!place || this.#sees(place)) return;
    this.camera.lookAt(place.lat ?? 0, place.lng ?? 0);
    this.cameraMoved();
  }

  /** Something without a place is never out of sight. @param {Place} place */
  #sees({ lat, lng }) {
    return lat === null || lng === null || this.camera.sees(lat, lng);
  }

  /** @param {Iterable<import('../lib/feed.js').Job>} jobs */
  setJobs(jobs) {
    this.#change((layers) => layers.setJobs(jobs));
  }

  /** @type {Layers['mark']} */
  mark(job, reach, driverId) {
    this.#change((layers) => layers.mark(job, reach, driverId));
  }

  /** @param {number} hidden one bit for each of DRAWN_STATES */
  setHidden(hidden) {
    this.#change(({ fleet }) => fleet.setHidden(hidden));
  }

  /** The camera follows this driver; null: nobody. @param {string | null} driverId */
  follow(driverId) {
    this.#followed = driverId;
    this.#ask();
  }

  /** While frozen nobody moves; afterwards all jump to where they are. @param {boolean} isFrozen */
  freeze(isFrozen) {
    if (isFrozen === (this.#frozenAt !== null)) return;
    this.#frozenAt = isFrozen ? performance.now() : null;
    if (isFrozen) return;
    this.#change(({ fleet }) => fleet.reset(feedNow().drivers.values()));
    this.#view.askAgain();
  }

  cameraMoved() {
    this.#view.follow(this.camera);
    this.#host.onCamera();
    this.#change((layers) => layers.drawGround());
  }

  /** @param {(layers: Layers) => void} change */
  #change(change) {
    change(this.#layers);
    this.#ask();
  }

  #listen() {
    const { onPick, onPan } = this.#host;
    const element = this.#host.canvases.marks;
    const { signal } = this.#gone;
    const hands = {
      onPan: (/** @type {number} */ dx, /** @type {number} */ dy) => {
        this.camera.pan(dx, dy);
        onPan();
        this.cameraMoved();
      },
      onZoom: (/** @type {number} */ by, /** @type {number} */ x, /** @type {number} */ y) => {
        this.camera.zoomBy(by, x, y);
        this.cameraMoved();
      },
      onPick: (/** @type {number} */ x, /** @type {number} */ y) =>
        onPick(this.#layers.at(this.camera, x, y)),
      onHover: (/** @type {{x: number, y: number} | null} */ at) => {
        const over = at && this.#layers.at(this.camera, at.x, at.y);
        element.classList.toggle('pointing', over !== null);
        if (this.#layers.hover(over)) this.#ask();
      },
    };
    listenToPointers(element, hands, signal);
    listenToArrows(element, hands.onPan, signal);
  }

  /** @param {import('../lib/feed.js').FleetEvent} event @param {any} data */
  #onFleet(event, data) {
    if (this.#frozenAt !== null) return;
    const { fleet } = this.#layers;
    if (event === 'snapshot') fleet.reset(feedNow().drivers.values());
    else if (event === 'driver') fleet.put(data);
    else if (event === 'cells') this.#setCounts(data);
    else {
      fleet.move(data, performance.now());
      if (event === 'everybody') fleet.keepOnly(data);
      if (fleet.isCounted) this.#setCounts(null);
    }
    this.#ask();
  }

  /** @param {Record<string, number> | null} counts */
  #setCounts(counts) {
    const { fleet, ground } = this.#layers;
    const isCounted = counts !== null;
    if (isCounted !== fleet.isCounted) this.#host.onCounted(isCounted);
    fleet.setCounted(isCounted);
    ground.setCounts(counts);
    this.#change((layers) => layers.drawGround());
  }

  #resize() {
    const wasSeen = this.#selected && this.#sees(this.#selected);
    const { width, height } = this.#layers.resize();
    this.camera.resize(width, height);
    // The drawer that opens for it covers a part of the map.
    if (wasSeen) this.show(this.#selected);
    this.#view.follow(this.camera);
    this.#ask();
  }

  /** @param {number} time */
  #draw(time) {
    if (this.#gone.signal.aborted) return false;
    const now = this.#frozenAt ?? time;
    if (this.#followed !== null) this.#goAlong(this.#followed, now);
    this.#layers.draw(this.camera, now);
    return this.#frozenAt === null && now < this.#layers.fleet.movement.until;
  }

  /** The camera moves to where he is. @param {string} driverId @param {number} now */
  #goAlong(driverId, now) {
    const driver = feedNow().drivers.get(driverId);
    const place = driver && this.#layers.fleet.placeOf(driver.handle, now);
    if (!place || (place.x === this.camera.x && place.y === this.camera.y)) return;
    this.camera.x = place.x;
    this.camera.y = place.y;
    this.#view.follow(this.camera);
    this.#host.onCamera();
    this.#layers.drawGround();
  }
}
