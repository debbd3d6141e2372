/** The zones that this gateway follows, each as long as a session needs it, and a little longer. */
import type { Zone } from '../../engine/domain/zones.ts';
import type { LogFeed } from '../../engine/engine.ts';
import { ZoneMirror } from './zone-mirror.ts';

/** Drivers cross borders to and fro: a zone that no session needs now may be needed again soon. */
const LINGER_MS = 10_000;

export class FollowedZones {
  readonly #logs: LogFeed;
  readonly #zones = new Map<Zone, ZoneMirror>();

  constructor(logs: LogFeed) {
    this.#logs = logs;
  }

  has(zone: Zone): boolean {
    return this.#zones.has(zone);
  }

  /** Follows a zone from now on; each call is matched by one `release`. */
  acquire(zone: Zone): ZoneMirror {
    let mirror = this.#zones.get(zone);
    if (!mirror) {
      mirror = new ZoneMirror(zone);
      this.#zones.set(zone, mirror);
      mirror.unfollow = this.#logs.followZone(mirror);
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
      mirror.unfollow();
    }, LINGER_MS).unref();
  }

  /** Finds jobs whose time has run out although their row does not say so yet. */
  expire(now: number): void {
    for (const mirror of this.#zones.values()) mirror.expire(now);
  }
}
