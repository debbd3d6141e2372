/**
 * The live channels that a gateway listens to, over one connection of its own. They only make news quick: what
 * they lose is found by comparing the logs, and so is a connection that stands and brings nothing.
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
  /** The connection is gone, and with it whatever is said until it is back. */
  onLost(): void;
}

export class LiveChannels {
  readonly #subscriber: RedisClient;
  /** Channel → how many want it: followers of its log, and those who only want positions. */
  readonly #heard = new Map<string, number>();
  /** The connection is being replaced by ourselves: nothing is lost that it would have brought. */
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

  /** A log's live channel as this database of Redis has it. */
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

  /** Another connection for one that stands and brings nothing. */
  renew(): void {
    this.#renewing = true;
    this.#subscriber.disconnect(true);
  }

  close(): void {
    this.#subscriber.disconnect();
  }

  /** A subscription that failed, or was made on a connection that is gone, is made again. */
  #subscribeAll(): void {
    this.#renewing = false;
    for (const channel of this.#heard.keys()) {
      this.#subscriber.ssubscribe(channel).catch(() => {});
    }
  }
}
