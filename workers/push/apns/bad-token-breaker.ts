/**
 * Keeps a wrong setting from erasing the token table: when too many of the latest pushes of a topic
 * are answered with "bad token", the tokens are not the problem (sandbox and production mixed up, a
 * wrong topic). Then the answer becomes `MIX_UP`, which holds the topic back and removes no token;
 * good answers end it. Each topic is judged by itself, so that a healthy app does not hide another.
 */
import type { Logger } from '../../../engine/engine.ts';
import type { ApnsOutcome } from './messages.ts';
import { isBadToken, MIX_UP } from './reactions.ts';

/** The share is taken over this many latest answers: fewer would exceed it by chance. */
const LATEST = 400;
/** This many bad tokens are ordinary, whatever their share: a young process has seen few answers. */
const ORDINARY = 5;
/** A larger share is not ordinary: a token that is gone gets 410, and a bad one is met only once. */
const SHARE_MAX = 0.05;

/** Notes an answer to a push of this topic, and returns the answer to act on. */
export type Judge = (topic: string, outcome: ApnsOutcome) => ApnsOutcome;

/** One for each endpoint, which is one environment. */
export function createBadTokenBreaker(log: Logger): Judge {
  const topics = new Map<string, Share>();
  return (topic, outcome) => {
    if (outcome.outcome !== 'sent' && outcome.outcome !== 'rejected') return outcome;
    const share = topics.get(topic) ?? { latest: [], bad: 0, tripped: false };
    topics.set(topic, share);
    const bad = outcome.outcome === 'rejected' && isBadToken(outcome.status, outcome.reason);
    const before = share.tripped;
    count(share, bad);
    if (share.tripped && !before) {
      const counts = { topic, bad: share.bad, of: share.latest.length };
      log.warn(
        counts,
        'many bad device tokens: none is removed, check APNS_ENVIRONMENT and topics',
      );
    }
    return bad && share.tripped ? { ...outcome, reason: MIX_UP } : outcome;
  };
}

interface Share {
  latest: boolean[];
  bad: number;
  tripped: boolean;
}

function count(share: Share, isBad: boolean): void {
  share.latest.push(isBad);
  if (isBad) share.bad++;
  if (share.latest.length > LATEST && share.latest.shift()) share.bad--;
  share.tripped = share.bad > ORDINARY && share.bad / share.latest.length > SHARE_MAX;
}
