/**
 * Work of many sessions that comes at once, such as snapshots after a zone was loaded anew: done in
 * slices, so that a process with thousands of sessions still answers everybody else.
 */

/** How long a slice keeps others waiting. */
const SLICE_MS = 10;

/** Runs work in order, soon but never at once. */
export type Turns = (work: () => void) => void;

export function createTurns(): Turns {
  let waiting: (() => void)[] = [];
  let next = 0;

  function run(): void {
    const end = performance.now() + SLICE_MS;
    while (next < waiting.length && performance.now() < end) waiting[next++]?.();
    if (next < waiting.length) {
      setImmediate(run);
      return;
    }
    waiting = [];
    next = 0;
  }

  return (work) => {
    if (waiting.push(work) === 1) setImmediate(run);
  };
}
