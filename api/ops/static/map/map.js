/**
 * The live map: the ground, drawn only when the camera moves; above it the drivers, as long as somebody
 * moves; above them jobs and what is marked.
 */
import { feedNow, onFleet, view } from '../lib/feed.js';
import { onTheme } from '../lib/theme.js';
import { boundsOf } from './bounds.js';
import { Camera } from './camera.js';
import { FleetLayer } from './fleet-layer.js';
import { Ground } from './ground.js';
import { JobsLayer } from './jobs-layer.js';
import { createLoop } from './loop.js';
import { Marks } from './marks.js';
import { listenToArrows, listenToPointers } from './pointer.js';
import { Screen } from './screen.js';
import { ViewRequest } from './view-request.js';

/**
 * @typedef {object} Picked
 * @property {'job' | 'driver'} kind
 * @property {string} id
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
  #fleet = new FleetLayer();
  #jobs = new JobsLayer();
  #marks = new Marks(this.#fleet, this.#jobs);
  #ground = new Ground(() => this.#drawGround());
  #view = new ViewRequest(view);
  #screen;
  #isGroundOld = true;
  #areMarksOld = true;
  #isFrozen = false;
  /** Whom the camera stays with. @type {string | null} */
  #followed = null;
  #ask = createLoop((now) => this.#draw(now));
  #gone = new AbortController();

  /** @param {Host} host */
  constructor(host) {
    this.#host = host;
    this.#screen = new Screen(host.canvases);
    const { signal } = this.#gone;
    const stillness = matchMedia('(prefers-reduced-motion: reduce)');
    const beStill = () => {
      this.#fleet.movement.isStill = stillness.matches;
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
      onTheme(() => this.#recolour()),
    );
    this.#listen();
    this.#resize();
    this.#fleet.reset(feedNow().drivers.values());
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

  /** Brings a place into sight unless it is. @param {{lat: number | null, lng: number | null}} place */
  show({ lat, lng }) {
    if (lat === null || lng === null || this.camera.sees(lat, lng)) return;
    this.camera.lookAt(lat, lng);
    this.cameraMoved();
  }

  /** @param {Iterable<import('../lib/feed.js').Job>} jobs */
  setJobs(jobs) {
    const all = [...jobs];
    this.#jobs.setJobs(all);
    this.#ground.setJobs(all);
    this.#fleet.setHolders(all, feedNow().drivers);
    this.#drawGround();
  }

  /**
   * What is marked: a job with those who were asked, a driver.
   * @param {import('../lib/feed.js').Job | null} job
   * @param {import('./jobs-layer.js').Reach | null} reach
   * @param {string | null} driverId
   */
  mark(job, reach, driverId) {
    this.#jobs.select(job, reach);
    this.#marks.set(reach?.candidates ?? new Set(), driverId);
    this.#drawGround();
  }

  /** @param {number} hidden one bit for each of DRAWN_STATES */
  setHidden(hidden) {
    this.#fleet.setHidden(hidden);
    this.#ask();
  }

  /** The camera stays with this driver; null: with nobody. @param {string | null} driverId */
  follow(driverId) {
    this.#followed = driverId;
    this.#ask();
  }

  /** Nobody moves until it ends; then all are where they are. @param {boolean} isFrozen */
  freeze(isFrozen) {
    if (isFrozen === this.#isFrozen) return;
    this.#isFrozen = isFrozen;
    if (isFrozen) return;
    this.#fleet.reset(feedNow().drivers.values());
    this.#view.askAgain();
    this.#ask();
  }

  cameraMoved() {
    this.#view.follow(this.camera);
    this.#host.onCamera();
    this.#drawGround();
  }

  #drawGround() {
    this.#isGroundOld = true;
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
      onPick: (/** @type {number} */ x, /** @type {number} */ y) => onPick(this.#at(x, y)),
      onHover: (/** @type {{x: number, y: number} | null} */ at) => {
        const over = at && this.#at(at.x, at.y);
        element.classList.toggle('pointing', over !== null);
        if (!this.#marks.hover(over)) return;
        this.#areMarksOld = true;
        this.#ask();
      },
    };
    listenToPointers(element, hands, signal);
    listenToArrows(element, hands.onPan, signal);
  }

  /** @param {number} x @param {number} y @returns {Picked | null} */
  #at(x, y) {
    const job = this.#jobs.at(this.camera, x, y);
    if (job !== null) return { kind: 'job', id: job };
    const driver = this.#fleet.at(x, y);
    return driver && { kind: 'driver', id: driver.id };
  }

  /** @param {import('../lib/feed.js').FleetEvent} event @param {any} data */
  #onFleet(event, data) {
    if (this.#isFrozen) return;
    const now = performance.now();
    if (event === 'snapshot') this.#fleet.reset(feedNow().drivers.values());
    else if (event === 'driver') this.#fleet.put(data);
    else if (event === 'cells') this.#setCounts(data);
    else {
      this.#fleet.move(data, now);
      if (event === 'everybody') this.#fleet.keepOnly(data);
      if (this.#fleet.isCounted) this.#setCounts(null);
    }
    this.#ask();
  }

  /** @param {Record<string, number> | null} counts */
  #setCounts(counts) {
    this.#ground.setCounts(counts);
    const isCounted = !!counts;
    if (isCounted !== this.#fleet.isCounted) this.#host.onCounted(isCounted);
    this.#fleet.setCounted(isCounted);
    this.#drawGround();
  }

  #resize() {
    const { width, height } = this.#screen.resize();
    this.camera.resize(width, height);
    this.#view.follow(this.camera);
    this.#drawAll();
  }

  #recolour() {
    this.#screen.recolour();
    this.#drawAll();
  }

  #drawAll() {
    this.#fleet.isOld = true;
    this.#drawGround();
  }

  /** @param {number} now */
  #draw(now) {
    if (this.#gone.signal.aborted) return false;
    const { camera } = this;
    const screen = this.#screen;
    const isFollowing = this.#followed !== null && this.#goAlong(this.#followed, now);
    const isGroundOld = this.#isGroundOld || isFollowing;
    if (isGroundOld) {
      this.#ground.draw(screen.ground(), camera, screen.colours);
      this.#jobs.drawRings(screen.ground(), camera, screen.colours);
    }
    if (this.#fleet.draw(screen, camera, now)) screen.showFleet();
    if (isGroundOld || this.#areMarksOld || this.#marks.areMoving) {
      const ctx = screen.marks();
      this.#jobs.drawPins(ctx, camera, screen.colours);
      this.#marks.draw(ctx, camera, screen.colours, now);
    }
    this.#isGroundOld = this.#areMarksOld = false;
    return !this.#isFrozen && now < this.#fleet.movement.until;
  }

  /** The camera goes where he is; false when that is where it was. @param {string} driverId @param {number} now */
  #goAlong(driverId, now) {
    const driver = feedNow().drivers.get(driverId);
    const place = driver && this.#fleet.placeOf(driver.handle, now);
    if (!place || (place.x === this.camera.x && place.y === this.camera.y)) return false;
    this.camera.x = place.x;
    this.camera.y = place.y;
    this.#view.follow(this.camera);
    this.#host.onCamera();
    return true;
  }
}
