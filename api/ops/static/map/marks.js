/** Marks on drivers: the selected one, those who were offered the selected job, and who got it. */
import { feedNow } from '../lib/feed.js';
import { STATES } from '../lib/names.js';
import { label } from './jobs-layer.js';

const CANDIDATE_PX = 8.5;
const WINNER_PX = 11;
const SELECTED_PX = 13;

export class Marks {
  #fleet;
  #jobs;
  /** @type {number[]} */
  #candidates = [];
  /** @type {string | null} */
  #driverId = null;
  /** @type {import('./map.js').Picked | null} */
  #hovered = null;

  /** @param {import('./fleet-layer.js').FleetLayer} fleet @param {import('./jobs-layer.js').JobsLayer} jobs */
  constructor(fleet, jobs) {
    this.#fleet = fleet;
    this.#jobs = jobs;
  }

  /** @param {ReadonlySet<string>} candidates @param {string | null} driverId */
  set(candidates, driverId) {
    const { drivers } = feedNow();
    const handles = [...candidates].map((id) => drivers.get(id)?.handle);
    this.#candidates = handles.filter((handle) => handle !== undefined);
    this.#driverId = driverId;
  }

  /** True when it is not the same thing as before. @param {import('./map.js').Picked | null} over */
  hover(over) {
    const isOther = this.#hovered?.id !== over?.id;
    this.#hovered = over;
    return isOther;
  }

  /** Is a marked driver moving? */
  get areMoving() {
    return (
      this.#candidates.length > 0 ||
      this.#driverId !== null ||
      this.#hovered?.kind === 'driver' ||
      this.#jobs.selected?.driverId != null
    );
  }

  /** @param {CanvasRenderingContext2D} ctx @param {import('./camera.js').Camera} camera @param {import('./colours.js').Colours} colours @param {number} now */
  draw(ctx, camera, colours, now) {
    this.#drawCandidates(ctx, camera, colours, now);
    this.#drawWinner(ctx, camera, colours, now);
    this.#drawNames(ctx, camera, colours, now);
  }

  /** @param {CanvasRenderingContext2D} ctx @param {import('./camera.js').Camera} camera @param {import('./colours.js').Colours} colours @param {number} now */
  #drawCandidates(ctx, camera, colours, now) {
    ctx.beginPath();
    for (const handle of this.#candidates) {
      const place = this.#fleet.isShown(handle) && this.#fleet.placeOf(handle, now);
      if (place) ring(ctx, camera, place, CANDIDATE_PX);
    }
    ctx.lineWidth = 1.2;
    ctx.globalAlpha = 0.7;
    ctx.strokeStyle = colours.open;
    ctx.stroke();
    ctx.globalAlpha = 1;
  }

  /** @param {CanvasRenderingContext2D} ctx @param {import('./camera.js').Camera} camera @param {import('./colours.js').Colours} colours @param {number} now */
  #drawWinner(ctx, camera, colours, now) {
    const job = this.#jobs.selected;
    const winner = job?.driverId && this.#placeOf(job.driverId, now);
    if (!job || !winner) return;
    ctx.beginPath();
    ctx.moveTo(camera.screenX(job.x), camera.screenY(job.y));
    ctx.lineTo(camera.screenX(winner.x), camera.screenY(winner.y));
    // A reservation is no win yet.
    ctx.setLineDash(job.isOpen ? [5, 5] : []);
    ctx.lineWidth = 2.5;
    ctx.strokeStyle = colours.held;
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.beginPath();
    ring(ctx, camera, winner, WINNER_PX);
    ctx.stroke();
  }

  /** @param {CanvasRenderingContext2D} ctx @param {import('./camera.js').Camera} camera @param {import('./colours.js').Colours} colours @param {number} now */
  #drawNames(ctx, camera, colours, now) {
    const hovered = this.#hovered?.kind === 'driver' ? this.#hovered.id : null;
    for (const id of new Set([this.#driverId, hovered])) {
      const place = id && this.#placeOf(id, now);
      if (!place) continue;
      ctx.beginPath();
      ring(ctx, camera, place, SELECTED_PX);
      ctx.lineWidth = 2;
      ctx.strokeStyle = colours.text;
      ctx.stroke();
      const driver = feedNow().drivers.get(id);
      const [x, y] = [camera.screenX(place.x), camera.screenY(place.y)];
      ctx.font = '600 12px system-ui, sans-serif';
      label(ctx, driver?.name ?? id, x, y - SELECTED_PX - 5, colours);
      // He is drawn, whatever his state.
      const isAlone = driver && !this.#fleet.isShown(driver.handle);
      if (isAlone) label(ctx, STATES[driver.state]?.sign ?? '', x, y + 4, colours);
    }
  }

  /** @param {string} id @param {number} now */
  #placeOf(id, now) {
    const driver = feedNow().drivers.get(id);
    return driver ? this.#fleet.placeOf(driver.handle, now) : null;
  }
}

/** @param {CanvasRenderingContext2D} ctx @param {import('./camera.js').Camera} camera @param {{x: number, y: number}} place @param {number} radius */
function ring(ctx, camera, { x, y }, radius) {
  const [left, top] = [camera.screenX(x), camera.screenY(y)];
  ctx.moveTo(left + radius, top);
  ctx.arc(left, top, radius, 0, 2 * Math.PI);
}
