/**
 * Where the drivers are whom customers follow: keeps the live channel of each such driver's zone
 * open and hands his positions on, whichever process he is connected to.
 */
import type { Zone } from '../../engine/domain/zones.ts';
import type { Fix, KnownDriver } from '../../engine/redis/drivers.ts';
import type { CustomerSession } from './customer-session.ts';
import type { ZoneMirror } from './zone-mirror.ts';

export interface DriverWatchHost {
  knowDriver(id: string): Promise<KnownDriver | null>;
  acquireZone(zone: Zone): ZoneMirror;
  releaseZone(mirror: ZoneMirror): void;
}

interface Watched {
  sessions: Set<CustomerSession>;
  mirror: ZoneMirror | null;
}

export class DriverWatch {
  readonly #host: DriverWatchHost;
  readonly #watched = new Map<string, Watched>();

  constructor(host: DriverWatchHost) {
    this.#host = host;
  }

  watch(driverId: string, session: CustomerSession): void {
    const watched = this.#watched.get(driverId) ?? { sessions: new Set(), mirror: null };
    this.#watched.set(driverId, watched);
    watched.sessions.add(session);
    this.#host.knowDriver(driverId).then(
      (driver) => driver && this.onDriver(driver),
      () => {},
    );
  }

  unwatch(driverId: string, session: CustomerSession): void {
    const watched = this.#watched.get(driverId);
    if (!watched?.sessions.delete(session) || watched.sessions.size > 0) return;
    this.#watched.delete(driverId);
    if (watched.mirror) this.#host.releaseZone(watched.mirror);
  }

  /** What is known of a driver: his zone may be another one. */
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
}
