/** How benchmarks are run: everything in turns, so that a noisy moment hits all sides alike. */

/** The first round loads code, fills caches and prepares statements; it is not counted. */
export const WARM_UP_ROUNDS = 1;
/** Odd, so that the median is one of them. */
export const ROUNDS = 5;

/** Says on stderr how far a benchmark is; stdout is for its result. */
export function progress(round: number): void {
  const what = round < WARM_UP_ROUNDS ? 'warm-up' : `round ${round - WARM_UP_ROUNDS + 1}/${ROUNDS}`;
  process.stderr.write(`  ${what} …\n`);
}
