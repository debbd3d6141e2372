/**
 * Pushes to one APNs endpoint over a few connections. Pushes without a free stream wait; the critical lane
 * goes first, and some streams of each connection are reserved for it.
 */
import { LANES, type Lane } from '../../../engine/domain/push.ts';
import type { Logger } from '../../../engine/engine.ts';
import { createBadTokenBreaker } from './bad-token-breaker.ts';
import { ApnsConnection } from './connection.ts';
import type { ApnsOutcome, ApnsPush } from './messages.ts';
import { createPauses, type Paused, type Pauses } from './pauses.ts';
import type { ProviderKey } from './provider-token.ts';
import { reactionTo } from './reactions.ts';
import { createWaitingPushes, unsent, type Waiting, withdrawn } from './waiting.ts';

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
  /** How long to wait for the answer to a push. */
  answerDeadlineMs?: number;
  /** How long a push may wait for a stream. */
  waitMaxMs?: number;
}

export interface ApnsClient {
  /** Sends one push, or reports after a while that there is no connection. Never rejects. */
  send(push: ApnsPush): Promise<ApnsOutcome>;
  /** Whether pushes of a topic are held back; `over` when one may be tried. */
  stateOf: Pauses['stateOf'];
  /** What is held back now. */
  paused(): Paused[];
  close(): Promise<void>;
}

/** When one is busy or broken there is another; a worker needs no more. */
const CONNECTIONS = 2;
/** Streams of a connection that only the critical lane may use. */
const RESERVED = 20;
/** How often a push that was certainly not processed is sent again; a storm ends before that. */
const RESENDS_MAX = 20;
/** How often a push that was refused because of its connection moves to another. */
const MOVES_MAX = 1;
const PUMP_MS = 250;

export function createApnsClient(options: ApnsClientOptions): ApnsClient {
  const { log, now = Date.now } = options;
  const connections = Array.from(
    { length: CONNECTIONS },
    () => new ApnsConnection({ ...options, key: options, log, now }),
  );
  const waiting = createWaitingPushes(now, options.waitMaxMs);
  const pauses = createPauses(now, log);
  const judge = createBadTokenBreaker(log);
  let closed = false;
  // Connections become free without an event when their back-off ends.
  const timer = setInterval(() => {
    // Also checked while no stream becomes free.
    waiting.handBack(withdrawn);
    pump();
  }, PUMP_MS);
  timer.unref();

  function pump(): void {
    waiting.handBackOutdated();
    // The critical lane comes first.
    for (const lane of LANES) {
      for (;;) {
        const connection = pick(connections, lane);
        const next = connection && waiting.take(lane);
        if (!next) break;
        void transmit(connection, next);
      }
    }
  }

  async function transmit(connection: ApnsConnection, one: Waiting): Promise<void> {
    const { push } = one;
    const outcome = judge(push.topic, await connection.send(push));
    const held = pauses.answered(push, outcome);
    if (held) waiting.handBack(pauses.reasonAgainst);
    if (!held && !closed && belongsElsewhere(outcome, one)) waiting.putBack(one);
    else one.resolve(outcome);
    pump();
  }

  return {
    send(push) {
      if (closed) return Promise.resolve(unsent('cancelled'));
      if (waiting.isFull(push.lane)) return Promise.resolve(unsent('overloaded'));
      const paused = pauses.reasonAgainst(push);
      if (paused !== null) return Promise.resolve(unsent(paused));
      const outcome = waiting.add(push);
      pump();
      return outcome;
    },
    stateOf: pauses.stateOf,
    paused: pauses.list,
    async close() {
      closed = true;
      clearInterval(timer);
      waiting.handBack(() => 'cancelled');
      for (const connection of connections) connection.close();
    },
  };
}

/** The least busy connection with a stream for this lane; for a notification a healthy one, if any. */
function pick(connections: readonly ApnsConnection[], lane: Lane): ApnsConnection | undefined {
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

/** Must the push be sent again, over the next free connection? */
function belongsElsewhere(outcome: ApnsOutcome, waiting: Waiting): boolean {
  if (outcome.outcome === 'never_processed') {
    return outcome.reason === 'connection_closing' && waiting.resends++ < RESENDS_MAX;
  }
  if (outcome.outcome !== 'rejected') return false;
  const { kind } = reactionTo(outcome.status, outcome.reason);
  return kind === 'move' && waiting.moves++ < MOVES_MAX;
}
