/**
 * Small pictures of drivers, drawn once for a theme and a screen, then copied as pixels: a frame has
 * thousands of them, for which drawing calls would take too long without a GPU (5 000 `drawImage` 77 ms,
 * `arc` and `fill` 32 ms, pixels 9 ms). Each state has a shape of its own; a driver who holds a job has a
 * ring around it.
 */
import { STATES } from '../lib/names.js';

/** CSS pixels of a side; the shape is in the middle. */
export const SPRITE_PX = 20;
const RADIUS = 4.5;
const RING_RADIUS = 7.5;

/** In drawing order: what matters most is on top. */
export const DRAWN_STATES = /** @type {const} */ ([
  'offline',
  'suspended',
  'pending',
  'stale',
  'busy',
  'available',
]);

/**
 * @typedef {object} Sprite what it covers, seen from its middle
 * @property {Int32Array} offsets
 * @property {Uint32Array} pixels
 */

/**
 * @param {import('./colours.js').Colours} colours
 * @param {number} ratio pixels of the screen to a CSS pixel
 * @param {number} stride pixels of a row of the picture into which they are copied
 * @returns {Sprite[]} of each state: first alone, then with a ring
 */
export function driverSprites(colours, ratio, stride) {
  return DRAWN_STATES.flatMap((state) => [
    cutOut(ratio, stride, (ctx) => drawState(ctx, state, colours)),
    cutOut(ratio, stride, (ctx) => {
      ctx.beginPath();
      ctx.arc(0, 0, RING_RADIUS, 0, 2 * Math.PI);
      ctx.lineWidth = 1.6;
      ctx.strokeStyle = colours.held;
      ctx.stroke();
      drawState(ctx, state, colours);
    }),
  ]);
}

/** Half of a side, in pixels of the screen. @param {number} ratio */
export const halfOf = (ratio) => Math.ceil((SPRITE_PX * ratio) / 2);

/** @param {number} ratio @param {number} stride @param {(ctx: CanvasRenderingContext2D) => void} draw @returns {Sprite} */
function cutOut(ratio, stride, draw) {
  const half = halfOf(ratio);
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 2 * half;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  const ctx = /** @type {CanvasRenderingContext2D} */ (context);
  ctx.translate(half, half);
  ctx.scale(ratio, ratio);
  draw(ctx);
  const all = new Uint32Array(ctx.getImageData(0, 0, 2 * half, 2 * half).data.buffer);
  const covered = [...all.keys()].filter((i) => all[i] !== 0);
  const offset = (/** @type {number} */ i) =>
    (Math.floor(i / (2 * half)) - half) * stride + (i % (2 * half)) - half;
  return {
    offsets: Int32Array.from(covered, offset),
    pixels: Uint32Array.from(covered, (i) => /** @type {number} */ (all[i])),
  };
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
