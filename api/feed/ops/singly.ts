/** Work that is due again and again: one at a time, and after a failure not at once. */

/** A store that does not answer is left alone for so long. */
const RETRY_MS = 1000;

/** Starts `work` unless it is under way or has just failed. `elapsed` is the monotonic clock, ms. */
export function singly(
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
