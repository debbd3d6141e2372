/**
 * Keeps a wrong setting from erasing the token table: when many tokens at once are called bad, the
 * tokens are not the problem (sandbox and production mixed up, a wrong topic).
 */
import type { Logger } from '../../engine/context.ts';

/** Shares are looked at over this long. */
const WINDOW_MS = 60_000;
/** So many bad ones in a window are ordinary, whatever their share. */
const ORDINARY = 20;
/** More than this share of a window's pushes is not. */
const SHARE_MAX = 0.2;

export interface BadTokenBreaker {
  sending(count: number): void;
  /** Counts a bad token; false when so many are bad that none should be removed. */
  mayRemove(): boolean;
}

export function createBadTokenBreaker(log: Logger, now: () => number): BadTokenBreaker {
  let since = now();
  let sent = 0;
  let bad = 0;
  const roll = () => {
    if (now() - since < WINDOW_MS) return;
    since = now();
    sent = 0;
    bad = 0;
  };
  return {
    sending(count) {
      roll();
      sent += count;
    },
    mayRemove() {
      roll();
      bad++;
      if (bad <= ORDINARY || bad / Math.max(sent, 1) <= SHARE_MAX) return true;
      if (bad === ORDINARY + 1 || bad % 1000 === 0) {
        log.warn({ bad, sent }, 'many bad device tokens: none is removed, check APNS_ENVIRONMENT');
      }
      return false;
    },
  };
}
