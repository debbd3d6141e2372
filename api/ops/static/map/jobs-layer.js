/** Jobs on the map, and for the selected one the drivers who were asked, who got it and its radius. */
import { isOpen } from '../lib/names.js';
import { circle, toX, toY } from './mercator.js';

const HIT_PX = 16;
const PIN_PX = 7;

/**
 * @typedef {object} Reach what is known of the selected job's waves
 * @property {{wave: number, radius_km: number}[]} waves
 * @property {Set<string>} candidates ids of drivers to whom it was offered
 *
 * @typedef {object} Pin
 * @property {string} id
 * @property {number} x
 * @property {number} y
 * @property {boolean} isOpen
 * @property {string | null} driverId
 */

export class JobsLayer {
  /** @type {Pin[]} */
  #pins = [];
  /** @type {Pin | null} */
  selected = null;
  /** @type {{wave: number, km: number, outline: Float64Array}[]} */
  #rings = [];

  /** @param {Iterable<import('../lib/feed.js').Job>} jobs */
  setJobs(jobs) {
    this.#pins = [];
    for (const { id, status, lat, lng, driver_id } of jobs) {
      if (lat === null || lng === null) continue;
      const pin = { id, x: toX(lng), y: toY(lat), isOpen: isOpen(status), driverId: driver_id };
      this.#pins.push(pin);
    }
    // Open ones are on top.
    this.#pins.sort((a, b) => Number(a.isOpen) - Number(b.isOpen));
  }

  /** @param {import('../lib/feed.js').Job | null} job @param {Reach | null} reach */
  select(job, reach) {
    if (!job || job.lat === null || job.lng === null) {
      this.selected = null;
      this.#rings = [];
      return;
    }
    const { id, status, lat, lng, driver_id } = job;
    this.selected = { id, x: toX(lng), y: toY(lat), isOpen: isOpen(status), driverId: driver_id };
    /** @type {Map<number, number>} */
    const radii = new Map();
    // A wave that reaches no farther than an earlier one shares its ring.
    for (const { wave, radius_km } of reach?.waves ?? []) {
      if (!radii.has(radius_km)) radii.set(radius_km, wave);
    }
    this.#rings = [...radii].map(([km, wave]) => ({ wave, km, outline: circle({ lat, lng }, km) }));
  }

  /** What lies below the drivers. @param {CanvasRenderingContext2D} ctx @param {import('./camera.js').Camera} camera @param {import('./colours.js').Colours} colours */
  drawRings(ctx, camera, colours) {
    ctx.font = '600 11px system-ui, sans-serif';
    ctx.lineWidth = 1.5;
    for (const { wave, km, outline } of this.#rings) {
      ctx.beginPath();
      traceOutline(ctx, camera, outline);
      ctx.globalAlpha = 0.06;
      ctx.fillStyle = colours.open;
      ctx.fill();
      ctx.globalAlpha = 0.8;
      ctx.strokeStyle = colours.open;
      ctx.setLineDash([6, 5]);
      ctx.stroke();
      ctx.setLineDash([]);
      ctx.globalAlpha = 1;
      const top = camera.screenY(/** @type {number} */ (outline[1]));
      label(
        ctx,
        `wave ${wave} · ${km} km`,
        camera.screenX(/** @type {number} */ (outline[0])),
        top - 6,
        colours,
      );
    }
  }

  /** @param {CanvasRenderingContext2D} ctx @param {import('./camera.js').Camera} camera @param {import('./colours.js').Colours} colours */
  drawPins(ctx, camera, colours) {
    for (const pin of this.#pins) drawPin(ctx, camera, pin, colours, false);
    if (this.selected) drawPin(ctx, camera, this.selected, colours, true);
  }

  /** The job at this pixel. @param {import('./camera.js').Camera} camera @param {number} px @param {number} py */
  at(camera, px, py) {
    let nearest = HIT_PX * HIT_PX;
    let found = null;
    for (const { id, x, y } of this.#pins) {
      const dx = camera.screenX(x) - px;
      const dy = camera.screenY(y) - PIN_PX - py;
      const distance = dx * dx + dy * dy;
      if (distance >= nearest) continue;
      nearest = distance;
      found = id;
    }
    return found;
  }
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {import('./camera.js').Camera} camera
 * @param {Float64Array} outline
 */
export function traceOutline(ctx, camera, outline) {
  // Draw all of it on the side of the world's edge where its first point is.
  const first = /** @type {number} */ (outline[0]);
  const left = camera.screenX(first);
  for (let i = 0; i < outline.length; i += 2) {
    const off = /** @type {number} */ (outline[i]) - first;
    const x = left + (off - Math.round(off)) * camera.scale;
    const y = camera.screenY(/** @type {number} */ (outline[i + 1]));
    if (i === 0) ctx.moveTo(x, y);
    else ctx.lineTo(x, y);
  }
  ctx.closePath();
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {string} text
 * @param {number} x
 * @param {number} y
 * @param {import('./colours.js').Colours} colours
 */
export function label(ctx, text, x, y, colours) {
  ctx.textAlign = 'center';
  ctx.lineWidth = 3;
  ctx.lineJoin = 'round';
  ctx.strokeStyle = colours.surface;
  ctx.strokeText(text, x, y);
  ctx.fillStyle = colours.text;
  ctx.fillText(text, x, y);
  ctx.textAlign = 'start';
}

/**
 * A pin whose tip is at the job: filled while it is open, a small ring once a driver holds it.
 * @param {CanvasRenderingContext2D} ctx
 * @param {import('./camera.js').Camera} camera
 * @param {Pin} pin
 * @param {import('./colours.js').Colours} colours
 * @param {boolean} isSelected
 */
function drawPin(ctx, camera, pin, colours, isSelected) {
  const x = camera.screenX(pin.x);
  const y = camera.screenY(pin.y);
  if (x < -20 || y < -20 || x > camera.width + 20 || y > camera.height + 30) return;
  const r = isSelected ? PIN_PX + 3 : pin.isOpen ? PIN_PX : PIN_PX - 2;
  ctx.beginPath();
  ctx.moveTo(x, y);
  ctx.arc(x, y - 2 * r, r, Math.PI * 0.85, Math.PI * 2.15);
  ctx.closePath();
  ctx.lineWidth = isSelected ? 2.5 : 1.6;
  ctx.strokeStyle = isSelected ? colours.text : pin.isOpen ? colours.surface : colours.held;
  ctx.fillStyle = pin.isOpen ? colours.open : colours.surface;
  ctx.fill();
  ctx.stroke();
  if (!pin.isOpen) return;
  ctx.beginPath();
  ctx.arc(x, y - 2 * r, r * 0.36, 0, 2 * Math.PI);
  ctx.fillStyle = colours.surface;
  ctx.fill();
}
