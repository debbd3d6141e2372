/** How benchmarks are run: everything in turns, so that a noisy moment hits all sides alike. */

/** The first round loads code, fills caches and prepares statements; it is not counted. */
export const WARM_UP_ROUNDS = 1;
/** Odd, so that the median is one of them. */
export const ROUNDS = 5;
/** Where each takes more than a minute: what does nothing hardly varies. */
export const IDLE_ROUNDS = 3;

/** Says on stderr how far a benchmark is; stdout is for its result. */
export function progress(round: number, rounds = ROUNDS): void {
  const what = round < WARM_UP_ROUNDS ? 'warm-up' : `round ${round - WARM_UP_ROUNDS + 1}/${rounds}`;
  process.stderr.write(`  ${what} …\n`);
}
