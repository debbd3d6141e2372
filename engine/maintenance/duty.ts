/** A duty: work that the leader does in regular turns. */
export interface Duty {
  /** Its `kind` in `muster_reconciled_total` and its name in the log. */
  name: string;
  /** From the end of one turn to the beginning of the next. */
  everyMs: number;
  /** False for a duty that repairs nothing: it is counted, but not logged. By default true. */
  repairs?: boolean;
  /**
   * One turn, bounded by a batch. Returns how many items it did; throws when a store is away, and the next
   * turn repeats it. Ends soon after `signal` aborts.
   */
  run(signal: AbortSignal): Promise<number>;
}

/** Items at once in a turn: enough to hide the stores' latency, few enough to leave room for others. */
const AT_ONCE = 8;
/** This many failures in a row are an outage: the next turn does the rest. */
const FAILURES_MAX = 3;

/**
 * Does `work` for each item, a few at once, and returns for how many it did not return false. The next turn
 * finds a failed item again; throws the last failure when they come in a row.
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
