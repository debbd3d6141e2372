/**
 * Follows the positions of drivers for customers: listens to the live channel of each such driver's
 * zone and passes his positions on, whichever process he is connected to.
 */
import type { Zone } from '../../engine/domain/zones.ts';
import type { Fix, KnownDriver } from '../../engine/engine.ts';
import type { CustomerSession } from './customer-session.ts';
import type { ZoneMirror } from './zone-mirror.ts';

export interface DriverWatchHost {
  knowDriver(id: string): Promise<KnownDriver | null>;
  acquireZone(zone: Zone): ZoneMirror;
  releaseZone(mirror: ZoneMirror): void;
}

/** Look-ups under way at once: after an outage all watched drivers are looked up. */
const ASKED_AT_ONCE = 16;

interface Watched {
  sessions: Set<CustomerSession>;
  mirror: ZoneMirror | null;
  /** His state must be read: for the first time, or because changes may have been missed. */
  unread: boolean;
}

export class DriverWatch {
  readonly #host: DriverWatchHost;
  readonly #watched = new Map<string, Watched>();
  #asking = 0;

  constructor(host: DriverWatchHost) {
    this.#host = host;
  }

  watch(driverId: string, session: CustomerSession): void {
    const watched = this.#watched.get(driverId);
    if (watched) watched.sessions.add(session);
    else {
      const sessions = new Set([session]);
      this.#watched.set(driverId, { sessions, mirror: null, unread: true });
    }
    this.#ask(driverId);
  }

  unwatch(driverId: string, session: CustomerSession): void {
    const watched = this.#watched.get(driverId);
    if (!watched?.sessions.delete(session) || watched.sessions.size > 0) return;
    this.#watched.delete(driverId);
    if (watched.mirror) this.#host.releaseZone(watched.mirror);
  }

  /** Changes of drivers may have been missed. */
  reload(): void {
    for (const watched of this.#watched.values()) watched.unread = true;
  }

  /** Reads again the drivers whose state could not be read. */
  tick(): void {
    for (const [id, { unread }] of this.#watched) {
      if (this.#asking >= ASKED_AT_ONCE) return;
      if (unread) this.#ask(id);
    }
  }

  /** A driver's new state: his zone may have changed. */
  onDriver(driver: KnownDriver): void {
    const watched = this.#watched.get(driver.id);
    if (!watched) return;
    if (driver.zone && watched.mirror?.zone !== driver.zone) {
      const before = watched.mirror;
      watched.mirror = this.#host.acquireZone(driver.zone);
      if (before) this.#host.releaseZone(before);
    }
    if (driver.fix && !driver.suspended) this.onFix(driver.id, driver.fix);
  }

  onFix(driverId: string, fix: Fix): void {
    for (const session of this.#watched.get(driverId)?.sessions ?? []) {
      session.onDriverAt(driverId, fix);
    }
  }

  #ask(driverId: string): void {
    const watched = this.#watched.get(driverId);
    if (!watched) return;
    watched.unread = false;
    this.#asking++;
    this.#host
      .knowDriver(driverId)
      .then(
        (driver) => driver && this.onDriver(driver),
        () => {
          watched.unread = true;
        },
      )
      .finally(() => {
        this.#asking--;
      });
  }
}
