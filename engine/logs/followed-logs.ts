/**
 * Every log that a gateway follows: the subscriptions, and twice a second a comparison of where
 * each log ends with where we are. A read that misses its deadline, or a lost connection, makes the
 * feed `degraded`; a full round makes it `live`: Redis has heard of everything in Postgres, and we
 * are at the end of every log.
 */
import { type EngineContext, withDeadline } from '../context.ts';
import type { TrackedFix } from '../drivers/parts.ts';
import { onLost, type RedisTarget, runIdOf } from '../redis/client.ts';
import { canaryLog, type LogKeys } from '../redis/keys.ts';
import { markRebuild } from '../redis/log-scripts.ts';
import { pipelined } from '../redis/pipelines.ts';
import { LiveChannels } from './live-channels.ts';
import { LogFollower, type LogRead, type LogSource, READ_MAX } from './log-follower.ts';

/** Contract section 5: within 1 s of the last change, even when the live channel is deaf. */
const COMPARE_MS = 500;
/** While degraded, the first good round should come soon after Redis does. */
const COMPARE_DEGRADED_MS = 100;
/** With `COMPARE_MS`: clients are told within 1 s that the feed may be stale, even if no connection broke. */
const READ_DEADLINE_MS = 500;
/** After this many rounds in a row with news that the live channel missed, it counts as deaf. */
const DEAF_ROUNDS = 2;

export interface StateListener {
  onDegraded(): void;
  onLive(): void;
  /** Not logged: positions that other processes took in. */
  onFixes(fixes: readonly TrackedFix[]): void;
  /** An entry was applied; `at` is its time on Redis's clock, epoch ms. */
  onApplied(at: number): void;
}

export class FollowedLogs {
  degradedSince: number | null = null;
  readonly #ctx: EngineContext;
  readonly #listener: StateListener;
  readonly #channels: LiveChannels;
  readonly #byChannel = new Map<string, LogFollower>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(ctx: EngineContext, subscriberUrl: RedisTarget, listener: StateListener) {
    this.#ctx = ctx;
    this.#listener = listener;
    this.#channels = new LiveChannels(subscriberUrl, ctx.redis, ctx.log, {
      onMessage: (channel, message) => this.#onMessage(channel, message),
      onLost: () => this.degrade(),
    });
    onLost(ctx.redis, () => this.degrade());
    this.#schedule(0);
  }

  /** Follows a log from now on. When that fails, the next comparison tries again. */
  follow(source: LogSource): void {
    const follower = new LogFollower(
      source,
      (keys, after) => this.#read(keys, after),
      (id) => this.#listener.onApplied(Number(id.split('-')[0])),
    );
    this.#byChannel.set(this.#channels.channelOf(source.keys.live), follower);
    this.hear(source.keys.live);
    follower.catchUp().catch(() => this.degrade());
  }

  unfollow(source: LogSource): void {
    this.#byChannel.delete(this.#channels.channelOf(source.keys.live));
    this.unhear(source.keys.live);
  }

  /** Listens to a live channel; each call is matched by one `unhear`. */
  hear(live: string): void {
    this.#channels.hear(live);
  }

  unhear(live: string): void {
    this.#channels.unhear(live);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#channels.close();
  }

  #onMessage(channel: string, message: string): void {
    if (message.startsWith('fixes ')) {
      this.#listener.onFixes(JSON.parse(message.slice('fixes '.length)) as TrackedFix[]);
      return;
    }
    const [, id, prev] = message.split(' ', 3);
    if (!id || !prev) return;
    const body = message.slice('log '.length + id.length + prev.length + 2);
    this.#byChannel.get(channel)?.live(id, prev, body);
  }

  async #read(keys: LogKeys, after: string): Promise<LogRead> {
    const replies = await this.#deadline(
      this.#ctx.redis
        .pipeline()
        .hmget(keys.meta, 'ready', 'last')
        .xrange(keys.log, `(${after}`, '+', 'COUNT', READ_MAX)
        .exec(),
    );
    const [meta, entries] = values(replies) as [
      [string | null, string | null],
      [string, string[]][],
    ];
    return {
      ready: meta[0] === runIdOf(this.#ctx.redis),
      last: meta[1] ?? '0-0',
      entries: entries.map(([id, fields]) => ({
        id,
        prev: fields[1] as string,
        body: fields[3] as string,
      })),
    };
  }

  /** Puts changes made during an outage, which may not be in any log yet. */
  async #complete(): Promise<void> {
    if (await this.#ctx.projection.putUnsettled()) return;
    const followers = [...this.#byChannel.values()];
    await Promise.all(followers.map(({ source }) => source.complete?.()));
  }

  /** A Redis that refuses writes has no news, however well it reads. */
  async #write(): Promise<void> {
    await markRebuild(this.#ctx.redis, canaryLog(0), 'feed');
  }

  /** Compares every log once; catches up where we are behind. */
  async #compare(recovering: boolean): Promise<void> {
    // A zone that is loaded for the first time, however large, holds up no other: no client has seen
    // it yet. After an outage nothing is live until everything is loaded.
    const followers = [...this.#byChannel.values()].filter((one) => recovering || !one.isLoading);
    const run = runIdOf(this.#ctx.redis);
    const replies = await this.#deadline(
      pipelined(
        this.#ctx.redis,
        followers,
        ({ source }) => source.keys.meta,
        (pipeline, { source }) => pipeline.hmget(source.keys.meta, 'ready', 'last'),
      ),
    );
    await Promise.all(
      followers.map(async (follower, i) => {
        const [ready, last] = replies[i] as [string | null, string | null];
        // Equality, not order: it also finds a Redis that went backwards.
        if (!follower.isAt(ready === run, last ?? '0-0')) await follower.catchUp();
      }),
    );
  }

  /** The connection stands but brings nothing: replace it. Until then comparing finds all but positions. */
  #renewDeafChannels(): void {
    const followers = [...this.#byChannel.values()];
    const isDeaf = followers.some(({ unheard }) => unheard >= DEAF_ROUNDS);
    if (!this.#channels.isDeaf() && !isDeaf) return;
    for (const follower of followers) follower.unheard = 0;
    this.#ctx.log.warn({}, 'the live channels are deaf, subscribing anew');
    this.#channels.renew();
  }

  #schedule(ms: number): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => void this.#round(), ms);
  }

  async #round(): Promise<void> {
    // What is lost during this round is recovered only by a whole round after it.
    const recovering = this.degradedSince !== null;
    try {
      await this.#compare(recovering);
      if (recovering) {
        await this.#deadline(this.#write());
        await this.#complete();
        await this.#compare(recovering);
      } else {
        this.#renewDeafChannels();
      }
      if (recovering && this.#ctx.redis.status === 'ready' && !this.#closed) {
        this.degradedSince = null;
        this.#listener.onLive();
      }
      this.#schedule(this.degradedSince === null ? COMPARE_MS : COMPARE_DEGRADED_MS);
    } catch (error) {
      if (this.degradedSince === null) {
        this.#ctx.log.warn({ err: error }, 'feed degraded: the logs cannot be read');
      }
      this.degrade();
      this.#schedule(COMPARE_DEGRADED_MS);
    }
  }

  /** The feed may be stale from now on, until a whole round has succeeded. */
  degrade(): void {
    if (this.degradedSince !== null || this.#closed) return;
    this.degradedSince = this.#ctx.now();
    this.#listener.onDegraded();
  }

  #deadline<T>(work: Promise<T>): Promise<T> {
    return withDeadline(work, READ_DEADLINE_MS, () => new Error('Redis does not answer in time'));
  }
}

/** The values of a pipeline's replies; throws the first error among them. */
function values(replies: [Error | null, unknown][] | null): unknown[] {
  return (replies ?? []).map(([error, value]) => {
    if (error) throw error;
    return value;
  });
}
