/** The zones that this gateway follows, each for as long as somebody needs it, and a little longer. */
import type { EngineContext } from '../../engine/context.ts';
import type { Zone } from '../../engine/domain/zones.ts';
import type { FollowedLogs } from './followed-logs.ts';
import { ZoneMirror } from './zone-mirror.ts';

/** Drivers cross borders to and fro: a zone that nobody needs now may be needed again soon. */
const LINGER_MS = 10_000;

export class FollowedZones {
  readonly #ctx: EngineContext;
  readonly #logs: FollowedLogs;
  readonly #zones = new Map<Zone, ZoneMirror>();

  constructor(ctx: EngineContext, logs: FollowedLogs) {
    this.#ctx = ctx;
    this.#logs = logs;
  }

  /** Follows a zone from now on; each call is matched by one `release`. */
  acquire(zone: Zone): ZoneMirror {
    let mirror = this.#zones.get(zone);
    if (!mirror) {
      mirror = new ZoneMirror(this.#ctx, zone);
      this.#zones.set(zone, mirror);
      this.#logs.follow(mirror);
    }
    mirror.users++;
    return mirror;
  }

  release(mirror: ZoneMirror): void {
    mirror.users--;
    if (mirror.users > 0) return;
    setTimeout(() => {
      if (mirror.users > 0 || this.#zones.get(mirror.zone) !== mirror) return;
      this.#zones.delete(mirror.zone);
      this.#logs.unfollow(mirror);
    }, LINGER_MS).unref();
  }

  /** Finds jobs whose time ran out before their row says so. */
  expire(now: number): void {
    for (const mirror of this.#zones.values()) mirror.expire(now);
  }
}
