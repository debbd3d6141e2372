/** One animation loop, which runs only as long as there is something to draw. */

/**
 * @param {(now: number) => boolean} draw says whether another frame is due after this one
 * @returns {() => void} asks for a frame
 */
export function createLoop(draw) {
  let isAsked = false;
  /** @param {number} now */
  const frame = (now) => {
    isAsked = false;
    if (draw(now)) ask();
  };
  function ask() {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(frame);
  }
  return ask;
}
