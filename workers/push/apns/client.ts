/**
 * Pushes to one APNs endpoint over a few connections. What does not fit on a stream now waits here,
 * where it can be counted, outdated and overtaken by the critical lane; streams of each connection
 * are kept free for that lane.
 */
import type { Logger } from '../../../engine/context.ts';
import { ApnsConnection, type ApnsOutcome, type ApnsPush } from './connection.ts';
import type { ProviderKey } from './provider-token.ts';
import { reactionTo } from './reactions.ts';

export type { ApnsOutcome, ApnsPush } from './connection.ts';

export interface ApnsClientOptions extends ProviderKey {
  /** `https://host[:port]` */
  url: string;
  /** PEM of a certificate authority to trust besides the usual ones. */
  ca?: string;
  log: Logger;
  now?: () => number;
}

export interface ApnsClient {
  /** Sends one push, or says after a while that there is no connection. Never rejects. */
  send(push: ApnsPush): Promise<ApnsOutcome>;
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
/** A push that a connection refused without looking at it is tried on another one. */
const TRIES_MAX = 3;
const PUMP_MS = 250;

interface Waiting {
  push: ApnsPush;
  since: number;
  tries: number;
  resolve(outcome: ApnsOutcome): void;
}

export function createApnsClient(options: ApnsClientOptions): ApnsClient {
  const { log, now = Date.now } = options;
  const connections = Array.from(
    { length: CONNECTIONS },
    () => new ApnsConnection({ ...options, key: options, log, now }),
  );
  const lanes: Record<ApnsPush['lane'], Waiting[]> = { critical: [], nearby: [] };
  let closed = false;
  // Connections become free without an event when their back-off ends.
  const timer = setInterval(pump, PUMP_MS);
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
        void transmit(connection, next);
      }
    }
  }

  /** The least busy connection that has a stream for this lane. */
  function pick(lane: ApnsPush['lane']): ApnsConnection | undefined {
    const reserved = lane === 'critical' ? 0 : RESERVED;
    return connections
      .filter(({ free, inFlight }) => free > (inFlight === 0 ? 0 : reserved))
      .sort((a, b) => a.inFlight - b.inFlight)[0];
  }

  async function transmit(connection: ApnsConnection, waiting: Waiting): Promise<void> {
    const outcome = await connection.send(waiting.push);
    const again = whatNow(connection, outcome);
    if (again && ++waiting.tries < TRIES_MAX && !closed) lanes[waiting.push.lane].unshift(waiting);
    else waiting.resolve(outcome);
    pump();
  }

  /** Reacts for the connection's sake; true when the push belongs on another one. */
  function whatNow(connection: ApnsConnection, outcome: ApnsOutcome): boolean {
    if (outcome.outcome === 'never_processed') return outcome.reason === 'connection_closing';
    if (outcome.outcome !== 'rejected') return false;
    const { kind } = reactionTo(outcome.status, outcome.reason);
    if (kind === 'config_fault') {
      log.error({ status: outcome.status, reason: outcome.reason }, 'APNs refuses our settings');
    }
    if (kind !== 'new_connection' && kind !== 'new_token') return false;
    connection.retire(kind === 'new_token');
    return true;
  }

  return {
    send(push) {
      const lane = lanes[push.lane];
      if (closed || lane.length >= WAITING_MAX) {
        const reason = closed ? 'cancelled' : 'overloaded';
        return Promise.resolve({ outcome: 'never_processed', reason });
      }
      const { promise, resolve } = Promise.withResolvers<ApnsOutcome>();
      lane.push({ push, since: now(), tries: 0, resolve });
      pump();
      return promise;
    },
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
