/**
 * The live channels that a gateway listens to, over one connection of its own. They only make news fast:
 * comparing the logs finds what they lose, and also a connection that stands but brings nothing.
 */
import type { Logger } from '../context.ts';
import { onceEachOutage } from '../outage-log.ts';
import {
  channelOn,
  connectSubscriber,
  type RedisClient,
  type RedisTarget,
} from '../redis/client.ts';

export interface ChannelListener {
  onMessage(channel: string, message: string): void;
  /** The connection is gone, and with it everything published until it is back. */
  onLost(): void;
}

export class LiveChannels {
  readonly #subscriber: RedisClient;
  /** Channel → number of listeners: followers of its log, and those who only want positions. */
  readonly #heard = new Map<string, number>();
  /** We are replacing the connection ourselves: it would have brought nothing. */
  #renewing = false;

  constructor(url: RedisTarget, log: Logger, listener: ChannelListener) {
    this.#subscriber = connectSubscriber(url, onceEachOutage(log));
    this.#subscriber.on('smessage', (channel: string, message: string) => {
      listener.onMessage(channel, message);
    });
    this.#subscriber.on('ready', () => this.#subscribeAll());
    this.#subscriber.on('close', () => {
      if (!this.#renewing) listener.onLost();
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
    this.#renewing = false;
    for (const channel of this.#heard.keys()) {
      this.#subscriber.ssubscribe(channel).catch(() => {});
    }
  }
}
