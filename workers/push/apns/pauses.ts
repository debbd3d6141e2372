/**
 * Holds back pushes that cannot succeed now: while Apple is out of service, or refuses our key or a
 * topic, they are handed back unsent. After a pause one push is tried; its answer ends the pause or
 * begins a longer one.
 */
import type { Logger } from '../../../engine/engine.ts';
import type { ApnsOutcome, ApnsPush } from './messages.ts';
import { reactionTo } from './reactions.ts';

/** This many 503 in a row are an outage; a single one is just an answer. */
const OUTAGE_AFTER = 3;
const OUTAGE_FIRST_MS = 1000;
/** Only an operator can fix a wrong setting; this long until it is tried again. */
const FAULT_FIRST_MS = 15_000;
const PAUSE_MAX_MS = 60_000;
/** The longest pause, whatever Apple asks for: somebody waits for these pushes. */
const ASKED_MAX_MS = 10 * 60_000;
/** By then the tried push has its answer. */
const PROBE_MS = 12_000;
/** This many fresh provider tokens refused as expired are a fault; a single one may be Apple's slip. */
const FRESH_REFUSED_MAX = 2;

interface Pause {
  reason: string;
  until: number;
  lastMs: number;
  /** A push is being tried. */
  probing: boolean;
}

/** `service`, `key`, or `topic …`; it lasts until a push is accepted. */
export interface Paused {
  scope: string;
  reason: string;
}

export interface Pauses {
  /** Why this push must not be sent now; null if it may be sent, perhaps as the one that is tried. */
  reasonAgainst(push: ApnsPush): string | null;
  /** The same for any push of a topic, without sending one; `over` when one may be tried. */
  stateOf(topic: string): { reason: string; over: boolean } | null;
  /** Notes an answer; true when a pause has begun. */
  answered(push: ApnsPush, outcome: ApnsOutcome): boolean;
  list(): Paused[];
}

export function createPauses(now: () => number, log: Logger): Pauses {
  const pauses = new Map<string, Pause>();
  let unavailable = 0;
  let freshRefused = 0;

  function begin(scope: string, reason: string, firstMs: number, atLeastMs = 0): boolean {
    const before = pauses.get(scope);
    // Answers to pushes that were in flight with the first tell nothing new.
    if (before && !before.probing && now() < before.until) return false;
    const lastMs = Math.min(PAUSE_MAX_MS, before ? before.lastMs * 2 : firstMs);
    const until = now() + Math.max(atLeastMs, lastMs * (0.5 + Math.random() / 2));
    pauses.set(scope, { reason, until, lastMs, probing: false });
    return true;
  }

  const against = (topic: string) => scopesOf(topic).flatMap((scope) => pauses.get(scope) ?? []);

  function fault(push: ApnsPush, outcome: ApnsOutcome & { outcome: 'rejected' }): boolean {
    const { status, reason, apnsTime } = outcome;
    const scope = status === 403 ? 'key' : `topic ${push.topic}`;
    if (!begin(scope, reason, FAULT_FIRST_MS)) return false;
    // A provider token refused as soon as it is made usually means a wrong clock.
    const ahead = apnsTime === undefined ? {} : { apnsClockAheadMs: apnsTime - now() };
    log.error({ status, reason, topic: push.topic, ...ahead }, 'APNs refuses our settings');
    return true;
  }

  return {
    reasonAgainst(push) {
      const paused = against(push.topic);
      const closed = paused.find(({ until }) => now() < until);
      if (closed) return closed.reason;
      // This push is tried; the others wait for its answer.
      for (const pause of paused) {
        pause.probing = true;
        pause.until = now() + PROBE_MS;
      }
      return null;
    },
    stateOf(topic) {
      const paused = against(topic);
      const pause = paused.find(({ until }) => now() < until) ?? paused[0];
      return pause ? { reason: pause.reason, over: now() >= pause.until } : null;
    },
    answered(push, outcome) {
      if (outcome.outcome !== 'sent' && outcome.outcome !== 'rejected') return false;
      // An answer that a phone is gone means that key and topic were accepted.
      if (outcome.outcome === 'sent' || outcome.status === 410) {
        unavailable = 0;
        freshRefused = 0;
        for (const scope of scopesOf(push.topic)) pauses.delete(scope);
      }
      if (outcome.outcome === 'sent') return false;
      const { status, reason, retryAfterMs = 0 } = outcome;
      const { kind } = reactionTo(status, reason);
      if (status === 503 && kind === 'retry') {
        const asked = Math.min(ASKED_MAX_MS, retryAfterMs);
        return ++unavailable >= OUTAGE_AFTER && begin('service', reason, OUTAGE_FIRST_MS, asked);
      }
      if (kind === 'move' && outcome.fresh && ++freshRefused >= FRESH_REFUSED_MAX) {
        return fault(push, outcome);
      }
      if (kind !== 'config_fault' && kind !== 'forbidden') return false;
      return fault(push, outcome);
    },
    list: () => [...pauses].map(([scope, { reason }]) => ({ scope, reason })),
  };
}

const scopesOf = (topic: string) => ['service', 'key', `topic ${topic}`];
