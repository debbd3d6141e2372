/**
 * What cannot succeed now is not sent: while Apple is out of service, or refuses our key or a topic,
 * its pushes are handed back unsent. After a pause one of them tries; its answer ends the pause or
 * begins a longer one.
 */
import type { Logger } from '../../../engine/context.ts';
import { reactionTo } from './reactions.ts';
import type { ApnsOutcome, ApnsPush } from './session.ts';

/** So many 503 in a row are an outage; a single one is an answer. */
const OUTAGE_AFTER = 3;
const OUTAGE_FIRST_MS = 1000;
/** Only an operator ends a wrong setting; this long until it is tried again. */
const FAULT_FIRST_MS = 15_000;
const PAUSE_MAX_MS = 60_000;
/** The one that tries has its answer by then. */
const PROBE_MS = 12_000;

interface Pause {
  reason: string;
  until: number;
  lastMs: number;
  /** One is being tried. */
  probing: boolean;
}

export interface Pauses {
  /** Why this push is not to be sent now, else null. */
  reasonAgainst(push: ApnsPush): string | null;
  /** Takes note of an answer; true when a pause has begun. */
  answered(push: ApnsPush, outcome: ApnsOutcome): boolean;
}

export function createPauses(now: () => number, log: Logger): Pauses {
  const pauses = new Map<string, Pause>();
  let unavailable = 0;

  function begin(scope: string, reason: string, firstMs: number): boolean {
    const before = pauses.get(scope);
    // Others that were in flight with the first tell nothing new.
    if (before && !before.probing && now() < before.until) return false;
    const lastMs = Math.min(PAUSE_MAX_MS, before ? before.lastMs * 2 : firstMs);
    const until = now() + lastMs * (0.5 + Math.random() / 2);
    pauses.set(scope, { reason, until, lastMs, probing: false });
    return true;
  }

  return {
    reasonAgainst(push) {
      for (const scope of scopesOf(push)) {
        const pause = pauses.get(scope);
        if (!pause) continue;
        if (now() < pause.until) return pause.reason;
        // This one tries; the others wait for what it learns.
        pause.probing = true;
        pause.until = now() + PROBE_MS;
      }
      return null;
    },
    answered(push, outcome) {
      if (outcome.outcome === 'sent') {
        unavailable = 0;
        for (const scope of scopesOf(push)) pauses.delete(scope);
      }
      if (outcome.outcome !== 'rejected') return false;
      const { status, reason } = outcome;
      if (status === 503 && reactionTo(status, reason).kind === 'retry') {
        return ++unavailable >= OUTAGE_AFTER && begin('service', reason, OUTAGE_FIRST_MS);
      }
      if (reactionTo(status, reason).kind !== 'config_fault') return false;
      const scope = status === 403 ? 'key' : `topic ${push.topic}`;
      if (!begin(scope, reason, FAULT_FIRST_MS)) return false;
      log.error({ status, reason, topic: push.topic }, 'APNs refuses our settings');
      return true;
    },
  };
}

const scopesOf = ({ topic }: ApnsPush) => ['service', 'key', `topic ${topic}`];
