/** Repeated work: one run at a time, and after a failure not at once. */

/** How long a store that does not answer is left alone. */
const RETRY_MS = 1000;

/** Starts `work` unless it is under way or has just failed. `elapsed` is the monotonic clock, ms. */
export function singleFlight(
  work: () => Promise<void>,
  { elapsed, onError }: { elapsed(): number; onError(error: unknown): void },
): () => void {
  let isRunning = false;
  let retryAt = Number.NEGATIVE_INFINITY;
  return () => {
    if (isRunning || elapsed() < retryAt) return;
    isRunning = true;
    work()
      .catch((error: unknown) => {
        retryAt = elapsed() + RETRY_MS;
        onError(error);
      })
      .finally(() => {
        isRunning = false;
      });
  };
}
