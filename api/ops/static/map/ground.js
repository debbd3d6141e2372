/**
 * The ground below jobs and drivers: sea, land, tiles, graticule, zones, and counts by cell if the fleet is
 * too large to draw driver by driver. Drawn again only when the camera moves or more of it has loaded.
 */
import { Cells } from './cells.js';
import { drawGraticule } from './graticule.js';
import { label, traceOutline } from './jobs-layer.js';
import { Land } from './land.js';
import { Tiles } from './tiles.js';

/** A count is written if its cell has room for it. */
const LABEL_MIN_PX = 26;

export class Ground {
  /** H3 cells of the open jobs' zones. @type {string[]} */
  #zones = [];
  /** Counts by H3 cell; null: drivers are drawn one by one. @type {[string, number][] | null} */
  #counts = null;
  #land;
  #tiles;
  #cells;

  /** @param {() => void} onChange there is more to draw */
  constructor(onChange) {
    this.#land = new Land(onChange);
    this.#tiles = new Tiles(onChange);
    this.#cells = new Cells(onChange);
  }

  /** The zones are those of these jobs, whose ids carry them. @param {readonly {id: string}[]} jobs */
  setJobs(jobs) {
    const zones = new Set(jobs.map(({ id }) => id.slice(0, id.indexOf('-'))));
    // `world`, the zone of jobs without a place.
    zones.delete('world');
    this.#zones = [...zones];
    this.#cells.ask(zones);
  }

  /** @param {Record<string, number> | null} counts */
  setCounts(counts) {
    this.#counts = counts && Object.entries(counts);
    if (counts) this.#cells.ask(Object.keys(counts));
  }

  /**
   * @param {CanvasRenderingContext2D} ctx
   * @param {import('./camera.js').Camera} camera
   * @param {import('./colours.js').Colours} colours
   */
  draw(ctx, camera, colours) {
    ctx.fillStyle = colours.sea;
    ctx.fillRect(0, 0, camera.width, camera.height);
    ctx.fillStyle = colours.land;
    this.#land.draw(ctx, camera);
    this.#tiles.draw(ctx, camera);
    drawGraticule(ctx, camera, colours);
    this.#drawZones(ctx, camera, colours);
    if (this.#counts) this.#drawCounts(ctx, camera, colours, this.#counts);
  }

  /** @param {CanvasRenderingContext2D} ctx @param {import('./camera.js').Camera} camera @param {import('./colours.js').Colours} colours */
  #drawZones(ctx, camera, colours) {
    ctx.beginPath();
    for (const zone of this.#zones) {
      const cell = this.#cells.find(zone);
      if (cell) traceOutline(ctx, camera, cell.outline);
    }
    ctx.strokeStyle = colours.zone;
    ctx.lineWidth = 1.5;
    ctx.setLineDash([2, 5]);
    ctx.stroke();
    ctx.setLineDash([]);
  }

  /** @param {CanvasRenderingContext2D} ctx @param {import('./camera.js').Camera} camera @param {import('./colours.js').Colours} colours @param {[string, number][]} counts */
  #drawCounts(ctx, camera, colours, counts) {
    const most = counts.reduce((max, [, count]) => Math.max(max, count), 1);
    ctx.font = '600 11px system-ui, sans-serif';
    for (const [id, count] of counts) {
      const cell = this.#cells.find(id);
      if (!cell) continue;
      ctx.beginPath();
      traceOutline(ctx, camera, cell.outline);
      ctx.globalAlpha = 0.12 + 0.5 * Math.sqrt(count / most);
      ctx.fillStyle = colours.good;
      ctx.fill();
      ctx.globalAlpha = 1;
      ctx.lineWidth = 1;
      ctx.strokeStyle = colours.grid;
      ctx.stroke();
      const roomPx = Math.abs(cell.y - /** @type {number} */ (cell.outline[1])) * 2 * camera.scale;
      if (roomPx < LABEL_MIN_PX) continue;
      label(ctx, String(count), camera.screenX(cell.x), camera.screenY(cell.y) + 4, colours);
    }
  }
}
