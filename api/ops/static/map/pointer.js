/** Pan, zoom and pick on the map: drag, wheel, pinch and click by mouse, touch and pen; arrow keys. */

/** A finger that moves less than this has tapped. */
const DRAG_PX = 5;
/** A notch of a wheel is about 100: two notches double the zoom. */
const ZOOM_PER_WHEEL_PX = 1 / 200;
/** The share of a side that an arrow key moves the map. */
const ARROW = 0.2;
/** `WheelEvent.deltaMode` 1 counts lines. */
const LINE_PX = 16;

/**
 * @typedef {object} Hands
 * @property {(dx: number, dy: number) => void} onPan
 * @property {(by: number, x: number, y: number) => void} onZoom
 * @property {(x: number, y: number) => void} onPick
 * @property {(at: {x: number, y: number} | null) => void} onHover
 */

/**
 * @param {HTMLElement} element
 * @param {Hands} hands
 * @param {AbortSignal} signal ends it
 */
export function listenToPointers(element, { onPan, onZoom, onPick, onHover }, signal) {
  /** @type {Map<number, {x: number, y: number}>} */
  const down = new Map();
  let travelled = 0;
  const placeOf = (/** @type {MouseEvent} */ { clientX, clientY }) => {
    const { left, top } = element.getBoundingClientRect();
    return { x: clientX - left, y: clientY - top };
  };
  const on = (/** @type {string} */ type, /** @type {(event: any) => void} */ listener) =>
    element.addEventListener(type, listener, { signal, passive: false });

  on('pointerdown', (/** @type {PointerEvent} */ event) => {
    if (event.button !== 0) return;
    element.setPointerCapture(event.pointerId);
    if (down.size === 0) travelled = 0;
    down.set(event.pointerId, placeOf(event));
  });
  on('pointermove', (/** @type {PointerEvent} */ event) => {
    const place = placeOf(event);
    const before = down.get(event.pointerId);
    if (!before) return onHover(place);
    const middleBefore = middleOf(down);
    down.set(event.pointerId, place);
    const middle = middleOf(down);
    travelled += Math.abs(place.x - before.x) + Math.abs(place.y - before.y);
    if (travelled < DRAG_PX) return;
    onPan(middle.x - middleBefore.x, middle.y - middleBefore.y);
    if (down.size > 1) onZoom(Math.log2(middle.spread / middleBefore.spread), middle.x, middle.y);
  });
  const up = (/** @type {PointerEvent} */ event) => {
    if (!down.delete(event.pointerId) || down.size > 0) return;
    const { x, y } = placeOf(event);
    if (event.type === 'pointerup' && travelled < DRAG_PX) onPick(x, y);
  };
  on('pointerup', up);
  on('pointercancel', up);
  on('pointerleave', () => onHover(null));
  on('wheel', (/** @type {WheelEvent} */ event) => {
    event.preventDefault();
    const { x, y } = placeOf(event);
    const px = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_PX : 1;
    onZoom(-event.deltaY * px * ZOOM_PER_WHEEL_PX, x, y);
  });
}

/** The middle of all fingers, and how far they are apart. @param {Map<number, {x: number, y: number}>} down */
function middleOf(down) {
  const places = [...down.values()];
  const x = places.reduce((sum, place) => sum + place.x, 0) / places.length;
  const y = places.reduce((sum, place) => sum + place.y, 0) / places.length;
  const spread = places.reduce((sum, place) => sum + Math.hypot(place.x - x, place.y - y), 0);
  return { x, y, spread: Math.max(1, spread) };
}

/**
 * @param {HTMLElement} element takes them while it has the focus
 * @param {Hands['onPan']} onPan
 * @param {AbortSignal} signal ends it
 */
export function listenToArrows(element, onPan, signal) {
  /** @type {Readonly<Record<string, readonly [x: number, y: number]>>} */
  const ways = {
    ArrowLeft: [1, 0],
    ArrowRight: [-1, 0],
    ArrowUp: [0, 1],
    ArrowDown: [0, -1],
  };
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    const way = ways[event.key];
    if (!way) return;
    event.preventDefault();
    const { width, height } = element.getBoundingClientRect();
    onPan(way[0] * width * ARROW, way[1] * height * ARROW);
  };
  element.addEventListener('keydown', onKey, { signal });
}
