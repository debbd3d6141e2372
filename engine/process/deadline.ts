/** Waiting with an end. */

/**
 * Waits for `work`, but no longer than `ms`: then throws what `late` makes. The work itself goes
 * on; its late result is ignored.
 */
export function withDeadline<T>(work: Promise<T>, ms: number, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    // Timers run before sockets: after a busy moment the answer may be in, unread.
    const timer = setTimeout(() => setImmediate(() => reject(late())), ms);
    work.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
