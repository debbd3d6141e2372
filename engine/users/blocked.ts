/**
 * Users whom an operator has blocked. The truth is a table; each process keeps a copy of it that is at
 * most a second old while calls come in, so that no call waits for Postgres to learn that its caller
 * is not blocked. While Postgres is away the last copy counts.
 */
import { withDeadline } from '../context.ts';
import type { Db } from '../pg/client.ts';
import { deleteBlocked, insertBlocked, readBlocked, readMark } from '../pg/users-blocked.ts';

/** A copy of this age is refreshed beside the call that uses it. */
const REFRESH_MS = 400;
/** A copy of this age is not used: no call came for a while. */
const STALE_MS = 1000;
/** The same while Postgres is away or slow. */
const LATE_STALE_MS = 10_000;
/** A call waits no longer for a fresh copy. */
const WAIT_MS = 300;
/** After this many checks whether anything changed, all ids are read again anyway. */
const FULL_EVERY = 50;

export interface Users {
  /** Blocks or unblocks a user; in force in this process at once, in others within a second. */
  setBlocked(id: string, blocked: boolean, by: string): Promise<void>;
  /** Is this user blocked? Never throws. */
  isBlocked(id: string): boolean | Promise<boolean>;
  /** The same by the copy at hand, which is refreshed when it is due. */
  isKnownBlocked(id: string): boolean;
}

/** `now`: a monotonic clock, ms. */
export async function createUsers(
  { db }: { db: Db },
  now: () => number = () => performance.now(),
): Promise<Users> {
  let blocked = await readBlocked(db);
  let mark = '';
  let looks = 0;
  let readAt = now();
  /** Postgres was away or slow at the last try: a copy counts for longer. */
  let late = false;
  let reading: Promise<void> | null = null;

  /** Refreshes the copy, once for all calls that ask meanwhile. */
  function refresh(): Promise<void> {
    reading ??= (async () => {
      const began = now();
      try {
        const seen = await readMark(db);
        if (seen !== mark || ++looks % FULL_EVERY === 0) blocked = await readBlocked(db);
        mark = seen;
        late = now() - began > WAIT_MS;
      } catch {
        late = true;
      } finally {
        // A Postgres that is away is left alone for a moment.
        readAt = began;
        reading = null;
      }
    })();
    return reading;
  }

  function isKnownBlocked(id: string): boolean {
    if (now() - readAt >= REFRESH_MS) void refresh();
    return blocked.has(id);
  }

  return {
    isKnownBlocked,
    isBlocked(id) {
      if (now() - readAt < (late ? LATE_STALE_MS : STALE_MS)) return isKnownBlocked(id);
      return withDeadline(refresh(), WAIT_MS, () => new Error('Postgres is slow'))
        .catch(() => {})
        .then(() => blocked.has(id));
    },
    async setBlocked(id, isBlocked, by) {
      await (isBlocked ? insertBlocked(db, id, by) : deleteBlocked(db, id));
      // A read that began earlier may not have seen this change.
      await reading;
      blocked = await readBlocked(db);
    },
  };
}
