/**
 * Small pictures of drivers and jobs, drawn once for a theme and a screen: thousands of them are put on
 * the map in each frame. Each state has a shape of its own; who holds a job has a ring around it.
 */
import { STATES } from '../lib/names.js';

/** CSS pixels of a side; the shape is in the middle. */
export const SPRITE_PX = 20;
const RADIUS = 4.5;
const RING_RADIUS = 7.5;

/** In the order in which they are drawn: what matters most lies on top. */
export const DRAWN_STATES = /** @type {const} */ ([
  'offline',
  'suspended',
  'pending',
  'stale',
  'busy',
  'available',
]);

/**
 * @param {import('./colours.js').Colours} colours
 * @param {number} ratio pixels of the screen to a CSS pixel
 * @returns {HTMLCanvasElement[]} of each state: first alone, then with a ring
 */
export function driverSprites(colours, ratio) {
  return DRAWN_STATES.flatMap((state) => [
    sprite(ratio, (ctx) => drawState(ctx, state, colours)),
    sprite(ratio, (ctx) => {
      ctx.beginPath();
      ctx.arc(0, 0, RING_RADIUS, 0, 2 * Math.PI);
      ctx.lineWidth = 1.6;
      ctx.strokeStyle = colours.held;
      ctx.stroke();
      drawState(ctx, state, colours);
    }),
  ]);
}

/** @param {number} ratio @param {(ctx: CanvasRenderingContext2D) => void} draw */
function sprite(ratio, draw) {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = Math.ceil(SPRITE_PX * ratio);
  const ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  ctx.scale(ratio, ratio);
  ctx.translate(SPRITE_PX / 2, SPRITE_PX / 2);
  draw(ctx);
  return canvas;
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {typeof DRAWN_STATES[number]} state
 * @param {import('./colours.js').Colours} colours
 */
function drawState(ctx, state, colours) {
  const colour = colours[/** @type {'good'} */ (STATES[state]?.tone ?? 'quiet')];
  ctx.lineWidth = 1.6;
  ctx.lineJoin = 'round';
  ctx.strokeStyle = colours.surface;
  ctx.fillStyle = colour;
  ctx.beginPath();
  if (state === 'busy') ctx.rect(-4, -4, 8, 8);
  else if (state === 'stale') polygon(ctx, [0, -5.5, 5.5, 4, -5.5, 4]);
  else if (state === 'pending') polygon(ctx, [0, -5.5, 5.5, 0, 0, 5.5, -5.5, 0]);
  else if (state === 'suspended') cross(ctx);
  else ctx.arc(0, 0, state === 'offline' ? 3.2 : RADIUS, 0, 2 * Math.PI);
  if (state === 'offline' || state === 'suspended') {
    ctx.strokeStyle = colour;
    ctx.stroke();
    return;
  }
  ctx.stroke();
  ctx.fill();
}

/** @param {CanvasRenderingContext2D} ctx @param {readonly number[]} points */
function polygon(ctx, points) {
  for (let i = 0; i < points.length; i += 2) {
    ctx.lineTo(/** @type {number} */ (points[i]), /** @type {number} */ (points[i + 1]));
  }
  ctx.closePath();
}

/** @param {CanvasRenderingContext2D} ctx */
function cross(ctx) {
  ctx.moveTo(-3.5, -3.5);
  ctx.lineTo(3.5, 3.5);
  ctx.moveTo(3.5, -3.5);
  ctx.lineTo(-3.5, 3.5);
}
