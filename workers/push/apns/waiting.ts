/**
 * Pushes that wait for a stream of a connection, a queue for each lane. Here they can be counted, handed
 * back unsent and overtaken by the critical lane.
 */
import type { Lane } from '../../../engine/domain/push.ts';
import type { ApnsOutcome, ApnsPush } from './messages.ts';

/** Beyond it a push is handed back at once: the queue in Redis is the place to wait. */
const WAITING_MAX = 10_000;
/** After this a push is handed back: its sender decides anew. */
const WAIT_MAX_MS = 10_000;

export interface Waiting {
  push: ApnsPush;
  since: number;
  resends: number;
  moves: number;
  resolve(outcome: ApnsOutcome): void;
}

/** Why a push is not sent; null when it is. */
export type Reason = (push: ApnsPush) => string | null;

export interface WaitingPushes {
  isFull(lane: Lane): boolean;
  /** Adds a push at the end of its queue; resolves with its outcome. */
  add(push: ApnsPush): Promise<ApnsOutcome>;
  /** Puts a push back at the head of its queue. */
  putBack(waiting: Waiting): void;
  /** The next push of a lane that is still useful. */
  take(lane: Lane): Waiting | undefined;
  /** Pushes with a reason against them leave their queues unsent. */
  handBack(reasonOf: Reason): void;
  /** So do pushes that have waited too long. */
  handBackOutdated(): void;
}

export function createWaitingPushes(now: () => number, waitMaxMs = WAIT_MAX_MS): WaitingPushes {
  const lines: Record<Lane, Waiting[]> = { critical: [], nearby: [] };

  return {
    isFull: (lane) => lines[lane].length >= WAITING_MAX,
    add(push) {
      const { promise, resolve } = Promise.withResolvers<ApnsOutcome>();
      lines[push.lane].push({ push, since: now(), resends: 0, moves: 0, resolve });
      return promise;
    },
    putBack(waiting) {
      lines[waiting.push.lane].unshift(waiting);
    },
    take(lane) {
      for (let next = lines[lane].shift(); next; next = lines[lane].shift()) {
        // Unix seconds; after that no phone would show it.
        const expired = next.push.expiration * 1000 <= now();
        const reason = expired ? 'expired' : withdrawn(next.push);
        if (reason === null) return next;
        next.resolve(unsent(reason));
      }
      return undefined;
    },
    handBack(reasonOf) {
      for (const line of Object.values(lines)) {
        for (const waiting of line.splice(0)) {
          const reason = reasonOf(waiting.push);
          if (reason === null) line.push(waiting);
          else waiting.resolve(unsent(reason));
        }
      }
    },
    handBackOutdated() {
      const outdated = now() - waitMaxMs;
      for (const line of Object.values(lines)) {
        while (line[0] && line[0].since < outdated) line.shift()?.resolve(unsent('no_connection'));
      }
    },
  };
}

export const unsent = (reason: string): ApnsOutcome => ({ outcome: 'never_processed', reason });

/** Its sender takes it back while it waits. */
export const withdrawn: Reason = (push) => (push.withdrawn?.aborted ? 'withdrawn' : null);
