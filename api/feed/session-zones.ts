/**
 * The zones that one driver's session follows. At most twice a second it may add zones that this process
 * does not follow yet: nobody drives faster than that, and a phone that makes up positions must not make
 * it load the world.
 */
import type { Zone } from '../../engine/domain/zones.ts';
import type { MirroredJob, ZoneMirror, ZoneWatcher } from './zone-mirror.ts';

const NEW_MS = 500;

export interface ZoneHost {
  /** Is it followed already? */
  hasZone(zone: Zone): boolean;
  /** Follows a zone from now on; each call is matched by one `releaseZone`. */
  acquireZone(zone: Zone): ZoneMirror;
  releaseZone(mirror: ZoneMirror): void;
}

export class SessionZones {
  /** A change is waiting for its time. */
  due = false;
  readonly #host: ZoneHost;
  readonly #watcher: ZoneWatcher;
  readonly #mirrors = new Map<Zone, ZoneMirror>();
  #newAt = Number.NEGATIVE_INFINITY;

  constructor(host: ZoneHost, watcher: ZoneWatcher) {
    this.#host = host;
    this.#watcher = watcher;
  }

  get loaded(): boolean {
    for (const mirror of this.#mirrors.values()) if (!mirror.loaded) return false;
    return true;
  }

  *jobs(): IterableIterator<MirroredJob> {
    for (const mirror of this.#mirrors.values()) yield* mirror.jobs.values();
  }

  /** Follows exactly these zones. True when one is still loading; `now` is monotonic. */
  follow(zones: readonly Zone[], now: number): boolean {
    const added = zones.filter((zone) => !this.#mirrors.has(zone));
    const isNew = added.some((zone) => !this.#host.hasZone(zone));
    this.due = isNew && now - this.#newAt < NEW_MS;
    if (this.due) return false;
    if (isNew) this.#newAt = now;
    for (const mirror of [...this.#mirrors.values()]) {
      if (!zones.includes(mirror.zone)) this.#leave(mirror);
    }
    for (const zone of added) this.#enter(zone);
    return !this.loaded;
  }

  end(): void {
    for (const mirror of [...this.#mirrors.values()]) this.#leave(mirror);
  }

  #enter(zone: Zone): void {
    const mirror = this.#host.acquireZone(zone);
    mirror.watchers.add(this.#watcher);
    this.#mirrors.set(zone, mirror);
  }

  #leave(mirror: ZoneMirror): void {
    this.#mirrors.delete(mirror.zone);
    mirror.watchers.delete(this.#watcher);
    this.#host.releaseZone(mirror);
  }
}
