/** Waiting with an end. */

/**
 * Waits for `work`, but no longer than `ms`: then throws what `late` makes, which is called then only. The
 * work itself goes on; its late result is ignored.
 */
export function withDeadline<T>(work: Promise<T>, ms: number, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    let isDone = false;
    const expire = () => {
      if (!isDone) reject(late());
    };
    // Timers run before sockets: after a busy moment the answer may be in, unread.
    const timer = setTimeout(() => setImmediate(expire), ms);
    const done =
      <V>(settle: (value: V) => void) =>
      (value: V) => {
        isDone = true;
        clearTimeout(timer);
        settle(value);
      };
    work.then(done(resolve), done(reject));
  });
}
