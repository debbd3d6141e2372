/**
 * A connected driver's feed: a function of the driver and the open jobs around him. Events keep it
 * current; whenever one may have been missed, the feed is computed again and sent as a snapshot.
 */
import { CLOSE } from '../../engine/domain/close-codes.ts';
import { isClaimable } from '../../engine/domain/job.ts';
import { unavailableReason } from '../../engine/domain/visibility.ts';
import { WORLD, type Zone, zonesWithin } from '../../engine/domain/zones.ts';
import type { Fix, KnownDriver, UserEvent } from '../../engine/engine.ts';
import { RADIUS_KM_MAX } from '../../engine/process/config.ts';
import type { Connection } from './connection.ts';
import { MARGIN_MAX_KM } from './margin.ts';
import type { FeedMetrics } from './metrics.ts';
import { Offers, type OffersHost } from './offers.ts';
import type { ServerEvents } from './server-frames.ts';
import { SessionZones, type ZoneHost } from './session-zones.ts';
import type { Turns } from './turns.ts';
import type { ClosedJob, MirroredJob, ZoneWatcher } from './zone-mirror.ts';

/** Zones are followed a little wider than a job may reach. */
const REACH_KM = RADIUS_KM_MAX + MARGIN_MAX_KM;
/** Signs of life count to the second: anything finer would copy the driver for every job. */
const HEARD_MS = 1000;

export type SnapshotReason = 'connect' | 'resync' | 'moved' | 'availability';

/** What a session needs of the gateway. */
export interface DriverSessionHost extends OffersHost, ZoneHost {
  metrics: FeedMetrics;
  /** By the monotonic clock, ms. */
  elapsed(): number;
  /** A driver's state; null when he has no profile. */
  knowDriver(id: string): Promise<KnownDriver | null>;
  turns: Turns;
}

export class DriverSession implements ZoneWatcher {
  readonly role = 'driver';
  readonly connection: Connection;
  /** Null while he has no profile. */
  driver: KnownDriver | null = null;
  readonly #host: DriverSessionHost;
  readonly #zones: SessionZones;
  readonly #offers: Offers;
  /** The snapshot due once all zones are loaded. */
  #due: SnapshotReason | null = 'connect';
  /** It waits for its turn. */
  #queued = false;
  #available = false;
  /** His state must be read: for the first time, or because changes may have been missed. */
  #unread = true;
  #reading = false;
  #known = false;

  constructor(connection: Connection, host: DriverSessionHost) {
    this.connection = connection;
    this.#host = host;
    this.#zones = new SessionZones(host, this);
    this.#offers = new Offers(connection, host, () => this.#heard());
    connection.onDrained = () => this.resync('slow');
  }

  get isSnapshotDue(): boolean {
    return this.#due !== null;
  }

  /** Reads his state; when no store answers, `tick` tries again. */
  async load(): Promise<void> {
    if (this.#reading) return;
    this.#reading = true;
    this.#unread = false;
    try {
      const driver = await this.#host.knowDriver(this.connection.identity.sub);
      if (this.connection.closed) return;
      const first = !this.#known;
      this.#known = true;
      if (driver) this.onDriver(driver);
      if (first) this.#trySnapshot();
    } catch {
      this.#unread = true;
    } finally {
      this.#reading = false;
    }
  }

  /** Changes of the driver may have been missed. */
  reload(): void {
    this.#unread = true;
    void this.load();
  }

  /** His state changed: approval, availability, type, load, zone. */
  onDriver(event: KnownDriver): void {
    if (this.connection.closed) return;
    const before = this.driver;
    if (before && event.rev < before.rev) return;
    if (event.suspended || (before?.approved && !event.approved)) {
      this.#suspend();
      return;
    }
    const fix = newest(before?.fix ?? null, event.fix);
    const seenAt = Math.max(before?.seenAt ?? 0, event.seenAt);
    this.driver = { ...event, fix, position: fix, seenAt };
    this.#followZones();
    if (this.#availableNow() !== this.#available) this.#snapshotWhenLoaded('availability');
    else this.#recompute();
  }

  /** He has moved. Fixes older than the newest are ignored. */
  onFix(zone: Zone, fix: Fix, seenAt: number): void {
    const driver = this.driver;
    if (!driver || this.connection.closed || (driver.fix && driver.fix.at >= fix.at)) return;
    const seen = Math.max(driver.seenAt, seenAt);
    this.driver = { ...driver, zone, fix, position: fix, seenAt: seen };
    if (this.#offers.covers(fix)) return;
    this.#followZones();
    this.#recompute();
  }

  /** Changes without an event: he goes stale, or is heard from again; zones that had to wait. */
  tick(): void {
    if (this.#unread) void this.load();
    if (!this.#known) return;
    if (this.#zones.due) {
      this.#followZones();
      this.#recompute();
    }
    if (this.#due === null && this.#availableNow() !== this.#available) {
      this.#snapshotWhenLoaded('availability');
    }
  }

  resync(why: string): void {
    this.#host.metrics.resync(why);
    this.#snapshotWhenLoaded('resync');
  }

  /** Events for him alone: a job he holds changed, a notification. */
  onUserEvent({ event, data }: UserEvent): void {
    if (event === 'job:status') {
      const { job_id, version, status } = data as ServerEvents['job:status'];
      // A job that is open again is no longer his.
      const isNews = isClaimable(status)
        ? this.#offers.takeLost(job_id, version)
        : this.#offers.takeOwn(job_id, version);
      if (!isNews) return;
    }
    this.connection.sendSurely(event, data);
  }

  end(): void {
    this.#zones.end();
  }

  onOpen(job: MirroredJob): void {
    if (this.#due === null) this.#offers.evaluate(job);
  }

  onClosed(job: ClosedJob): void {
    this.#offers.close(job);
  }

  onRefused(job: MirroredJob, driverId: string): void {
    if (driverId === this.driver?.id) this.onOpen(job);
  }

  onExpired(job: MirroredJob): void {
    this.onOpen(job);
  }

  onReload(): void {
    if (this.#due === null) this.#host.metrics.resync('reload');
    this.#snapshotWhenLoaded('resync');
  }

  /** The driver's state, with the last frame or pong of his connection counted as a sign of life. */
  #heard(): KnownDriver | null {
    const { driver } = this;
    if (!driver) return null;
    // By both clocks each time: the stores' clock may jump when another Redis takes over.
    const heardAt = this.#host.now() - (this.#host.elapsed() - this.connection.heardAt);
    if (driver.seenAt >= heardAt - HEARD_MS) return driver;
    // Cached: a copy for every job and every driver would be most of the cost of a burst.
    this.driver = { ...driver, seenAt: heardAt };
    return this.driver;
  }

  #availableNow(): boolean {
    const driver = this.#heard();
    return !!driver && unavailableReason(driver, this.#host.now(), this.#host.rules) === null;
  }

  #recompute(): void {
    if (this.#due !== null) this.#trySnapshot();
    else this.#offers.recompute(this.#zones.jobs());
  }

  #snapshotWhenLoaded(reason: SnapshotReason): void {
    this.#due ??= reason;
    this.#trySnapshot();
  }

  /** Sends the due snapshot when its turn comes, or after the loading of a zone that is under way. */
  #trySnapshot(): void {
    if (this.#queued || !this.#isReady()) return;
    this.#queued = true;
    this.#host.turns(() => {
      this.#queued = false;
      if (this.#due === null || !this.#isReady() || this.connection.closed) return;
      const reason = this.#due;
      this.#due = null;
      this.#available = this.#availableNow();
      this.#offers.sendSnapshot(this.#zones.jobs(), reason);
    });
  }

  #isReady(): boolean {
    return this.#due !== null && this.#known && this.#zones.loaded;
  }

  /** Follows exactly the zones that a job within reach may lie in; none if he is offered nothing. */
  #followZones(): void {
    if (this.connection.closed) return;
    const isLoading = this.#zones.follow(this.#wantedZones(), this.#host.elapsed());
    if (isLoading) this.#due ??= 'moved';
  }

  #wantedZones(): Zone[] {
    const { driver } = this;
    if (!driver?.approved || driver.isOperator || !driver.online) return [];
    return driver.position ? [...zonesWithin(driver.position, REACH_KM), WORLD] : [WORLD];
  }

  #suspend(): void {
    this.connection.close(CLOSE.suspended, 'suspended', 'This driver may not work now');
  }
}

function newest(a: Fix | null, b: Fix | null): Fix | null {
  if (!a || !b) return a ?? b;
  return b.at >= a.at ? b : a;
}
