/**
 * The events of both clients besides jobs: the state of the connection and of the feed. Defined once,
 * so that a driver's and a customer's app work alike.
 */
import type { ConnectionHandlers, Ended } from './connection.ts';
import type { LinkEnd } from './link.ts';
import type { FeedNotification, ServerFrame } from './protocol.ts';

export interface ClientEventMap {
  /** Hello and snapshot have arrived, for the first time or again. */
  live: [];
  snapshot: [reason: string];
  /** The feed may be stale (`false`) or is exact again (`true`). */
  exact: [exact: boolean];
  notification: [notification: FeedNotification];
  /** The server's `error` frame: why it is about to close, or which frame it did not accept. */
  problem: [code: string, message: string];
  disconnected: [end: LinkEnd & { retryInMs: number }];
  /** No further attempt will be made. */
  ended: [end: Ended];
}

/** Any emitter whose events include those of `ClientEventMap`. */
interface Emitter {
  emit<E extends keyof ClientEventMap>(event: E, ...args: ClientEventMap[E]): boolean;
}

/** Passes a connection's life on to the app; `frame` sees every frame first. */
export function relay(events: Emitter, frame: (frame: ServerFrame) => void): ConnectionHandlers {
  return {
    frame(received) {
      frame(received);
      emitFrame(events, received);
    },
    live: () => events.emit('live'),
    disconnected: (end) => events.emit('disconnected', end),
    ended: (end) => events.emit('ended', end),
  };
}

function emitFrame(events: Emitter, frame: ServerFrame): void {
  if (frame.event === 'feed:snapshot') events.emit('snapshot', frame.data.reason);
  else if (frame.event === 'feed:degraded') events.emit('exact', false);
  else if (frame.event === 'feed:live') events.emit('exact', true);
  else if (frame.event === 'notification') events.emit('notification', frame.data);
  else if (frame.event === 'error') events.emit('problem', frame.data.code, frame.data.message);
}
