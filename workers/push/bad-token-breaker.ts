/**
 * Keeps a wrong setting from erasing the token table: when too many of the latest pushes are
 * answered with "bad token", the tokens are not the problem (sandbox and production mixed up, a
 * wrong topic). While it is tripped no such token is removed; good answers end it.
 */
import type { Logger } from '../../engine/context.ts';

/** The share is that among so many latest answers. */
const LATEST = 200;
/** So many bad ones among them are ordinary, whatever their share: a young process knows few. */
const ORDINARY = 5;
/** More than this share is not. */
const SHARE_MAX = 0.1;

export interface BadTokenBreaker {
  readonly tripped: boolean;
  /** Counts an answer of APNs. */
  answered(bad: boolean): void;
}

export function createBadTokenBreaker(log: Logger): BadTokenBreaker {
  const latest: boolean[] = [];
  let bad = 0;
  let tripped = false;
  return {
    get tripped() {
      return tripped;
    },
    answered(isBad) {
      latest.push(isBad);
      if (isBad) bad++;
      if (latest.length > LATEST && latest.shift()) bad--;
      const tooMany = bad > ORDINARY && bad / latest.length > SHARE_MAX;
      if (tooMany && !tripped) {
        const counts = { bad, of: latest.length };
        log.warn(counts, 'many bad device tokens: none is removed, check APNS_ENVIRONMENT');
      }
      tripped = tooMany;
    },
  };
}
