/** A duty: something that the leader sees to in regular turns. */
export interface Duty {
  /** As it is counted in `muster_reconciled_total`, and named in the log. */
  name: string;
  /** From the end of one turn to the beginning of the next. */
  everyMs: number;
  /** False for what is done for its own sake: counted, not logged. Left out: it repairs. */
  repairs?: boolean;
  /**
   * One turn, bounded by a batch. Returns how many things it did; throws when a store is away: the next turn
   * repeats it. Ends soon after `signal`.
   */
  run(signal: AbortSignal): Promise<number>;
}

/** Items at once in a turn: enough to hide the stores' answers, few enough to leave them to others. */
const AT_ONCE = 8;
/** So many failures in a row are an outage: the rest comes with the next turn. */
const FAILURES_MAX = 3;

/**
 * Does `work` for each item, a few at once, and returns for how many it did not say false. One that fails is
 * found again by the next turn; throws the last failure when they come in a row.
 */
export async function forEach<T>(
  items: readonly T[],
  signal: AbortSignal,
  work: (item: T) => Promise<unknown>,
): Promise<number> {
  const left = [...items];
  let done = 0;
  let failures = 0;
  let failure: unknown;
  const take = async () => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) {
      if (signal.aborted || failures >= FAILURES_MAX) return;
      try {
        if ((await work(item)) !== false) done++;
        failures = 0;
      } catch (error) {
        failures++;
        failure = error;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, take));
  if (failures >= FAILURES_MAX) throw failure;
  return done;
}
