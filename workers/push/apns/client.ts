/**
 * Pushes to one APNs endpoint over a few connections. What does not fit on a stream now waits here,
 * where it can be counted, outdated and overtaken by the critical lane; streams of each connection
 * are kept free for that lane.
 */
import type { Logger } from '../../../engine/engine.ts';
import { createBadTokenBreaker } from './bad-token-breaker.ts';
import { ApnsConnection } from './connection.ts';
import type { ApnsOutcome, ApnsPush } from './messages.ts';
import { createPauses, type Paused, type Pauses } from './pauses.ts';
import type { ProviderKey } from './provider-token.ts';
import { reactionTo } from './reactions.ts';

export type { ApnsOutcome, ApnsPush } from './messages.ts';

export interface ApnsClientOptions extends ProviderKey {
  /** `https://host[:port]` */
  url: string;
  /** PEM of a certificate authority to trust besides the usual ones. */
  ca?: string;
  log: Logger;
  now?: () => number;
  /** How long to wait for TLS and SETTINGS. */
  connectDeadlineMs?: number;
}

export interface ApnsClient {
  /** Sends one push, or says after a while that there is no connection. Never rejects. */
  send(push: ApnsPush): Promise<ApnsOutcome>;
  /** Whether pushes of a topic are held back; `over` when one may try. */
  stateOf: Pauses['stateOf'];
  /** What is held back now. */
  paused(): Paused[];
  close(): Promise<void>;
}

/** One is busy or broken, the other is not; a worker process needs no more. */
const CONNECTIONS = 2;
/** Beyond it a push is handed back at once: the queue in Redis is the place to wait. */
const WAITING_MAX = 10_000;
/** Handed back after this: whoever sent it decides anew. */
const WAIT_MAX_MS = 10_000;
/** Streams of a connection that only the critical lane may use. */
const RESERVED = 20;
/** A push that a connection surely did not look at is sent again; a storm ends before this. */
const RESENDS_MAX = 20;
/** One that was refused for its connection's sake moves to another. */
const MOVES_MAX = 1;
const PUMP_MS = 250;

interface Waiting {
  push: ApnsPush;
  since: number;
  resends: number;
  moves: number;
  resolve(outcome: ApnsOutcome): void;
}

export function createApnsClient(options: ApnsClientOptions): ApnsClient {
  const { log, now = Date.now } = options;
  const connections = Array.from(
    { length: CONNECTIONS },
    () => new ApnsConnection({ ...options, key: options, log, now }),
  );
  const lanes: Record<ApnsPush['lane'], Waiting[]> = { critical: [], nearby: [] };
  const pauses = createPauses(now, log);
  const judge = createBadTokenBreaker(log);
  let closed = false;
  // Connections become free without an event when their back-off ends.
  const timer = setInterval(() => {
    dropWithdrawn();
    pump();
  }, PUMP_MS);
  timer.unref();

  function pump(): void {
    const outdated = now() - WAIT_MAX_MS;
    for (const lane of Object.values(lanes)) {
      while (lane[0] && lane[0].since < outdated) {
        lane.shift()?.resolve({ outcome: 'never_processed', reason: 'no_connection' });
      }
    }
    for (const lane of ['critical', 'nearby'] as const) {
      for (let next = lanes[lane][0]; next; next = lanes[lane][0]) {
        const connection = pick(lane);
        if (!connection) break;
        lanes[lane].shift();
        // Unix seconds: nobody would show it any more.
        const expired = next.push.expiration * 1000 <= now();
        const withdrawn = next.push.withdrawn?.aborted ?? false;
        if (!expired && !withdrawn) void transmit(connection, next);
        else
          next.resolve({ outcome: 'never_processed', reason: expired ? 'expired' : 'withdrawn' });
      }
    }
  }

  /** Also while no stream becomes free. */
  function dropWithdrawn(): void {
    for (const lane of Object.values(lanes)) {
      for (const waiting of lane.splice(0)) {
        if (!waiting.push.withdrawn?.aborted) lane.push(waiting);
        else waiting.resolve({ outcome: 'never_processed', reason: 'withdrawn' });
      }
    }
  }

  /** The least busy connection that has a stream for this lane; for a notification one that is well, if any. */
  function pick(lane: ApnsPush['lane']): ApnsConnection | undefined {
    const ill = (one: ApnsConnection) => lane === 'critical' && one.ill;
    let best: ApnsConnection | undefined;
    for (const one of connections) {
      const reserved = lane === 'critical' || one.inFlight === 0 ? 0 : RESERVED;
      if (one.free <= reserved) continue;
      const better = !best || (ill(one) === ill(best) ? one.inFlight < best.inFlight : ill(best));
      if (better) best = one;
    }
    return best;
  }

  async function transmit(connection: ApnsConnection, waiting: Waiting): Promise<void> {
    const { push } = waiting;
    const outcome = judge(push.topic, await connection.send(push));
    const held = pauses.answered(push, outcome);
    if (held) handBack();
    if (held || closed) waiting.resolve(outcome);
    else if (belongsElsewhere(outcome, waiting)) lanes[push.lane].unshift(waiting);
    else waiting.resolve(outcome);
    pump();
  }

  function belongsElsewhere(outcome: ApnsOutcome, waiting: Waiting): boolean {
    if (outcome.outcome === 'never_processed') {
      return outcome.reason === 'connection_closing' && waiting.resends++ < RESENDS_MAX;
    }
    if (outcome.outcome !== 'rejected') return false;
    const { kind } = reactionTo(outcome.status, outcome.reason);
    return kind === 'move' && waiting.moves++ < MOVES_MAX;
  }

  /** What waits for a stream, but is not to be sent now. */
  function handBack(): void {
    for (const lane of Object.values(lanes)) {
      for (const waiting of lane.splice(0)) {
        const reason = pauses.reasonAgainst(waiting.push);
        if (reason === null) lane.push(waiting);
        else waiting.resolve({ outcome: 'never_processed', reason });
      }
    }
  }

  return {
    send(push) {
      const lane = lanes[push.lane];
      if (closed || lane.length >= WAITING_MAX) {
        const reason = closed ? 'cancelled' : 'overloaded';
        return Promise.resolve({ outcome: 'never_processed', reason });
      }
      const paused = pauses.reasonAgainst(push);
      if (paused !== null) return Promise.resolve({ outcome: 'never_processed', reason: paused });
      const { promise, resolve } = Promise.withResolvers<ApnsOutcome>();
      lane.push({ push, since: now(), resends: 0, moves: 0, resolve });
      pump();
      return promise;
    },
    stateOf: pauses.stateOf,
    paused: pauses.list,
    async close() {
      closed = true;
      clearInterval(timer);
      for (const lane of Object.values(lanes)) {
        for (const waiting of lane.splice(0)) {
          waiting.resolve({ outcome: 'never_processed', reason: 'cancelled' });
        }
      }
      for (const connection of connections) connection.close();
    },
  };
}
