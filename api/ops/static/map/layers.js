/**
 * The layers of the map, from the bottom up: the ground, drawn when the camera moves; the drivers, while
 * somebody moves; jobs and marks, when they change or a marked driver moves.
 */
import { feedNow } from '../lib/feed.js';
import { FleetLayer } from './fleet-layer.js';
import { Ground } from './ground.js';
import { JobsLayer } from './jobs-layer.js';
import { Marks } from './marks.js';
import { Screen } from './screen.js';

export class Layers {
  fleet = new FleetLayer();
  ground;
  #jobs = new JobsLayer();
  #marks = new Marks(this.fleet, this.#jobs);
  #screen;
  #isGroundOld = true;
  #areMarksOld = true;

  /** @param {import('./screen.js').Canvases} canvases @param {() => void} onChange there is more to draw */
  constructor(canvases, onChange) {
    this.#screen = new Screen(canvases);
    this.ground = new Ground(() => {
      this.#isGroundOld = true;
      onChange();
    });
  }

  /** Takes the size that the canvases have on the page. */
  resize() {
    const size = this.#screen.resize();
    this.drawAll();
    return size;
  }

  /** Takes the theme's colours. */
  recolour() {
    this.#screen.recolour();
    this.drawAll();
  }

  /** Makes the next frame draw everything. */
  drawAll() {
    this.fleet.isOld = true;
    this.#isGroundOld = true;
  }

  /** The camera has moved: the next frame draws the ground and drivers whose pixel changed. */
  drawGround() {
    this.#isGroundOld = true;
  }

  /** @param {Iterable<import('../lib/feed.js').Job>} jobs */
  setJobs(jobs) {
    const all = [...jobs];
    this.#jobs.setJobs(all);
    this.ground.setJobs(all);
    this.fleet.setHolders(all, feedNow().drivers);
    this.#isGroundOld = true;
  }

  /**
   * Sets the marks: a job with the drivers who were asked, a driver.
   * @param {import('../lib/feed.js').Job | null} job
   * @param {import('./jobs-layer.js').Reach | null} reach
   * @param {string | null} driverId
   */
  mark(job, reach, driverId) {
    this.#jobs.select(job, reach);
    this.#marks.set(reach?.candidates ?? new Set(), driverId);
    this.#isGroundOld = true;
  }

  /** The pointer is over this; false if it was before. @param {import('./map.js').Picked | null} over */
  hover(over) {
    const isOther = this.#marks.hover(over);
    this.#areMarksOld ||= isOther;
    return isOther;
  }

  /** What is at this pixel. @param {import('./camera.js').Camera} camera @param {number} x @param {number} y @returns {import('./map.js').Picked | null} */
  at(camera, x, y) {
    const job = this.#jobs.at(camera, x, y);
    if (job !== null) return { kind: 'job', id: job };
    const driver = this.fleet.at(x, y);
    return driver && { kind: 'driver', id: driver.id };
  }

  /** @param {import('./camera.js').Camera} camera @param {number} now */
  draw(camera, now) {
    const screen = this.#screen;
    if (this.#isGroundOld) {
      this.ground.draw(screen.ground(), camera, screen.colours);
      this.#jobs.drawRings(screen.ground(), camera, screen.colours);
    }
    if (this.fleet.draw(screen, camera, now)) screen.showFleet();
    if (this.#isGroundOld || this.#areMarksOld || this.#marks.areMoving) {
      const ctx = screen.marks();
      this.#jobs.drawPins(ctx, camera, screen.colours);
      this.#marks.draw(ctx, camera, screen.colours, now);
    }
    this.#isGroundOld = this.#areMarksOld = false;
  }
}
