/** Runs benchmarks with all sides in turns, so that a noisy moment hits all sides alike. */

/** The first round loads code, fills caches and prepares statements; it is not counted. */
export const WARM_UP_ROUNDS = 1;
/** Odd, so that the median is one of them. */
export const ROUNDS = 5;

/** Reports progress on stderr; stdout is for the result. */
export function progress(round: number): void {
  const what = round < WARM_UP_ROUNDS ? 'warm-up' : `round ${round - WARM_UP_ROUNDS + 1}/${ROUNDS}`;
  process.stderr.write(`  ${what} …\n`);
}
