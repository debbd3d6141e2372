/**
 * The live channels that a gateway listens to, over one connection of its own. They make news fast: comparing
 * the logs finds what they lose. Positions are in no log: whether they would be heard is tried by a word of
 * our own where nothing else comes.
 */
import type { Logger } from '../context.ts';
import { onceEachOutage } from '../outage-log.ts';
import {
  channelOn,
  connectSubscriber,
  type RedisClient,
  type RedisTarget,
} from '../redis/client.ts';
import { canaryLog } from '../redis/keys.ts';

/** After this long a silence may be that of the connection. */
const QUIET_MS = 1000;
/** A word of our own that was not heard after this long is lost. */
const HEARD_MS = 1000;
const WORD = 'canary';
const NEVER = Number.NEGATIVE_INFINITY;

export interface ChannelListener {
  onMessage(channel: string, message: string): void;
  /** The connection is gone, and with it everything published until it is back. */
  onLost(): void;
}

export class LiveChannels {
  readonly #subscriber: RedisClient;
  readonly #redis: RedisClient;
  /** Channel → number of listeners: followers of its log, and those who only want positions. */
  readonly #heard = new Map<string, number>();
  /** We are replacing the connection ourselves: it would have brought nothing. */
  #renewing = false;
  /** When something was last heard, and when we last said a word, by the monotonic clock. */
  #heardAt = performance.now();
  #saidAt = NEVER;

  /** `redis`: the process's ordinary connection. */
  constructor(url: RedisTarget, redis: RedisClient, log: Logger, listener: ChannelListener) {
    this.#redis = redis;
    this.#subscriber = connectSubscriber(url, onceEachOutage(log));
    this.#subscriber.on('smessage', (channel: string, message: string) => {
      this.#heardAt = performance.now();
      if (message !== WORD) listener.onMessage(channel, message);
    });
    this.hear(canaryLog(0).live);
    this.#subscriber.on('ready', () => this.#subscribeAll());
    this.#subscriber.on('close', () => {
      if (!this.#renewing) listener.onLost();
      this.#renewing = false;
    });
  }

  /** The name of a log's live channel in this database of Redis. */
  channelOf(live: string): string {
    return channelOn(this.#subscriber, live);
  }

  /** Listens to a live channel; each call is matched by one `unhear`. */
  hear(live: string): void {
    const channel = this.channelOf(live);
    const users = this.#heard.get(channel) ?? 0;
    this.#heard.set(channel, users + 1);
    // Not awaited: without the channel we are slower, not wrong.
    if (users === 0) this.#subscriber.ssubscribe(channel).catch(() => {});
  }

  unhear(live: string): void {
    const channel = this.channelOf(live);
    const users = this.#heard.get(channel) ?? 0;
    if (users > 1) this.#heard.set(channel, users - 1);
    else {
      this.#heard.delete(channel);
      this.#subscriber.sunsubscribe(channel).catch(() => {});
    }
  }

  /** Was a word of our own not heard? Says one where nothing was heard for a while. */
  isDeaf(): boolean {
    // Where it is lost, everybody has been told.
    if (this.#subscriber.status !== 'ready') return false;
    const now = performance.now();
    if (this.#saidAt > this.#heardAt) return now - this.#saidAt >= HEARD_MS;
    if (now - this.#heardAt >= QUIET_MS) {
      this.#saidAt = now;
      // What was not published proves nothing.
      this.#redis.spublish(this.channelOf(canaryLog(0).live), WORD).catch(() => {
        this.#saidAt = NEVER;
      });
    }
    return false;
  }

  /** Replaces a connection that stands but brings nothing. */
  renew(): void {
    this.#renewing = true;
    this.#subscriber.disconnect(true);
  }

  close(): void {
    this.#subscriber.disconnect();
  }

  /** Repeats subscriptions that failed, or were made on a connection that is gone. */
  #subscribeAll(): void {
    this.#heardAt = performance.now();
    for (const channel of this.#heard.keys()) {
      this.#subscriber.ssubscribe(channel).catch(() => {});
    }
  }
}
