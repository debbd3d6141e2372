/** Lines of latitude and longitude, as far apart as the zoom makes sense of, with their degrees. */
import { toLat, toLng, toX, toY } from './mercator.js';

/** Degrees between two lines; the finest whose lines are not too close is taken. */
const STEPS = [30, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005];
const APART_PX = 130;
const LABEL_PX = 4;

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {import('./camera.js').Camera} camera
 * @param {import('./colours.js').Colours} colours
 */
export function drawGraticule(ctx, camera, colours) {
  const pxPerDegree = camera.scale / 360;
  const step = STEPS.findLast((degrees) => degrees * pxPerDegree >= APART_PX) ?? 30;
  const decimals = Math.max(0, Math.ceil(-Math.log10(step)));
  const { width, height, scale } = camera;
  const west = toLng(camera.x - width / scale / 2);
  const east = toLng(camera.x + width / scale / 2);
  const south = toLat(Math.min(1, camera.y + height / scale / 2));
  const north = toLat(Math.max(0, camera.y - height / scale / 2));
  ctx.lineWidth = 1;
  ctx.strokeStyle = colours.grid;
  ctx.fillStyle = colours.quiet;
  ctx.font = '11px system-ui, sans-serif';
  ctx.beginPath();
  for (let i = Math.ceil(west / step); i * step <= east; i++) {
    const x = Math.round((toX(i * step) - camera.x) * scale + width / 2) + 0.5;
    ctx.moveTo(x, 0);
    ctx.lineTo(x, height);
    ctx.fillText(degrees(turned(i * step), 'E', 'W', decimals), x + LABEL_PX, height - LABEL_PX);
  }
  for (let i = Math.ceil(south / step); i * step <= north; i++) {
    const y = Math.round(camera.screenY(toY(i * step))) + 0.5;
    ctx.moveTo(0, y);
    ctx.lineTo(width, y);
    ctx.fillText(degrees(i * step, 'N', 'S', decimals), LABEL_PX, y - LABEL_PX);
  }
  ctx.stroke();
}

/** @param {number} lng */
const turned = (lng) => ((((lng + 180) % 360) + 360) % 360) - 180;

/** @param {number} value @param {string} plus @param {string} minus @param {number} decimals */
function degrees(value, plus, minus, decimals) {
  const text = Math.abs(value).toFixed(decimals);
  return Number(text) === 0 ? '0°' : `${text}° ${value < 0 ? minus : plus}`;
}
