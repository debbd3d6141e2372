/**
 * Tracks where drivers are, and that they are alive. The newest fix of each driver waits at most 50 ms,
 * then all that wait are flushed together; rounds write them to Postgres. What comes faster than the
 * stores take it waits and is merged, up to a limit.
 */
import { TryAgainError } from '../context.ts';
import type { Fix, KnownDriver } from '../redis/drivers.ts';
import { Flusher, type Heard } from './flush.ts';
import type { DriverParts } from './parts.ts';
import type { PositionSaver } from './save.ts';

/** How long a fix waits at most for others to share its script call. */
const FLUSH_MS = 50;
/** Contract section 5: after a loss of Redis positions from Postgres are at most 10 s behind. */
const SAVE_MS = 4000;
/** Drivers flushed at once: with more, sharing saves little more. */
const FULL = 1000;
/** Flushes under way: while Redis works on some, the next is prepared. Beyond it fixes wait and are merged. */
const UNDER_WAY_MAX = 4;
/** Drivers waiting for one flush; a driver beyond it is told to try again. */
const PENDING_MAX = 20_000;

export interface Tracker {
  /**
   * A sign of life, with a fix where there is one. Resolves when Redis has it; rejects with
   * `TryAgainError` when it was not taken. A caller that does not wait need not handle the rejection.
   */
  add(driver: KnownDriver, fix: Fix | null): Promise<void>;
  /** The last fix of a driver who was not at work when he sent it, a moment ago. */
  asideFix(driverId: string): Fix | null;
  close(): Promise<void>;
}

/** Signs of life to be flushed together, and the promise that they share. */
interface Batch {
  drivers: Map<string, Heard>;
  done: PromiseWithResolvers<void>;
}

export function createTracker(parts: DriverParts, saver: PositionSaver): Tracker {
  const flusher = new Flusher(parts, saver);
  let pending = newBatch();
  const underWay = new Set<Promise<void>>();
  /** A due flush that had to wait for those under way. */
  let due = false;
  let timer: NodeJS.Timeout | null = null;
  const rounds = setInterval(() => {
    flusher.prune();
    void saver.saveAll();
  }, SAVE_MS);
  rounds.unref();

  function flush(): void {
    if (timer) clearTimeout(timer);
    timer = null;
    due = underWay.size === UNDER_WAY_MAX;
    if (due || pending.drivers.size === 0) return;
    const batch = pending;
    pending = newBatch();
    const flushing = flusher
      .flush([...batch.drivers.values()])
      .then(batch.done.resolve, (error: unknown) => {
        for (let i = 0; i < batch.drivers.size; i++) parts.metrics.location('lost');
        parts.log.warn({ err: error, drivers: batch.drivers.size }, 'positions not taken by Redis');
        batch.done.reject(new TryAgainError('Redis does not take positions'));
      })
      .finally(() => {
        underWay.delete(flushing);
        if (due) flush();
      });
    underWay.add(flushing);
  }

  return {
    add(driver, fix) {
      const before = pending.drivers.get(driver.id);
      if (!before && pending.drivers.size >= PENDING_MAX) {
        return ignored(Promise.reject(new TryAgainError('too many positions are waiting')));
      }
      const newest = before?.fix && (!fix || before.fix.at > fix.at) ? before.fix : fix;
      pending.drivers.set(driver.id, { driver, fix: newest });
      const { done } = pending;
      if (due) return done.promise;
      if (pending.drivers.size >= FULL) flush();
      else timer ??= setTimeout(flush, FLUSH_MS);
      return done.promise;
    },
    asideFix: (driverId) => flusher.asideFix(driverId),
    async close() {
      clearInterval(rounds);
      flush();
      while (underWay.size > 0) await Promise.all(underWay);
      await saver.saveAll();
    },
  };
}

function newBatch(): Batch {
  const done = Promise.withResolvers<void>();
  void ignored(done.promise);
  return { drivers: new Map(), done };
}

/** The same promise, whose rejection may go unheard. */
function ignored(promise: Promise<void>): Promise<void> {
  promise.catch(() => {});
  return promise;
}
