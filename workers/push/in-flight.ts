/** A limit on pushes in flight. */

export interface InFlight {
  /**
   * Runs `work` once there is room for `count` more, first come first served. `settled` gives back the
   * room of one; the rest is given back when the work ends.
   */
  within<T>(count: number, work: (settled: () => void) => Promise<T>): Promise<T>;
}

/** `count` may not be more than `max`. */
export function createInFlight(max: number): InFlight {
  let free = max;
  const waiting: { count: number; go: () => void }[] = [];

  function admit(): void {
    for (let next = waiting[0]; next && next.count <= free; next = waiting[0]) {
      waiting.shift();
      free -= next.count;
      next.go();
    }
  }

  return {
    async within(count, work) {
      await new Promise<void>((go) => {
        waiting.push({ count, go });
        admit();
      });
      let left = count;
      const end = (some: number) => {
        left -= some;
        free += some;
        admit();
      };
      try {
        return await work(() => end(Math.min(1, left)));
      } finally {
        end(left);
      }
    },
  };
}
