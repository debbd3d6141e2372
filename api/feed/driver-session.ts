/**
 * A connected driver's feed: a function of him and the open jobs around him. Events only keep it
 * current quickly; whenever one may have been missed it is computed again and sent as a snapshot.
 */

import {
  type HiddenReason,
  hiddenReason,
  unavailableReason,
  type VisibilityRules,
} from '../../engine/domain/visibility.ts';
import { WORLD, type Zone, zonesWithin } from '../../engine/domain/zones.ts';
import { RADIUS_KM_MAX } from '../../engine/process/config.ts';
import type { UserEvent } from '../../engine/projection/tell.ts';
import type { Deliveries } from '../../engine/pushes/deliveries.ts';
import type { Fix, KnownDriver } from '../../engine/redis/drivers.ts';
import { CLOSE, type Connection } from './connection.ts';
import { eventFrame, textFrame } from './frame.ts';
import { MARGIN_MAX_KM, Margin } from './margin.ts';
import type { FeedMetrics } from './metrics.ts';
import { ToldVersions } from './told-versions.ts';
import type { ClosedJob, MirroredJob, ZoneMirror, ZoneWatcher } from './zone-mirror.ts';

/** Zones are followed a little wider than a job may reach. */
const REACH_KM = RADIUS_KM_MAX + MARGIN_MAX_KM;

export type SnapshotReason = 'connect' | 'resync' | 'moved' | 'availability';

/** What a session needs of the gateway. */
export interface DriverSessionHost {
  rules: VisibilityRules;
  deliveries: Deliveries;
  metrics: FeedMetrics;
  now(): number;
  /** What is known of the driver; null when he has no profile. */
  loadDriver(id: string): Promise<KnownDriver | null>;
  /** Follows a zone from now on; each call is matched by one `releaseZone`. */
  acquireZone(zone: Zone): ZoneMirror;
  releaseZone(mirror: ZoneMirror): void;
}

export class DriverSession implements ZoneWatcher {
  readonly role = 'driver';
  readonly connection: Connection;
  /** Null while he has no profile. */
  driver: KnownDriver | null = null;
  readonly #host: DriverSessionHost;
  readonly #zones = new Map<Zone, ZoneMirror>();
  /** What the client holds: job → version. */
  readonly #held = new Map<string, number>();
  /** Jobs he took or gave back: told by their zone and to him by name. */
  readonly #own = new ToldVersions();
  /** The snapshot that is due once all zones are loaded. */
  #due: SnapshotReason | null = 'connect';
  #available = false;
  #loaded = false;
  #loading = false;
  readonly #margin = new Margin();

  constructor(connection: Connection, host: DriverSessionHost) {
    this.connection = connection;
    this.#host = host;
    connection.onDrained = () => this.resync('slow');
  }

  /** Reads who he is, then the first snapshot; when no store answers `tick` tries again. */
  async load(): Promise<void> {
    if (this.#loading) return;
    this.#loading = true;
    try {
      const driver = await this.#host.loadDriver(this.connection.identity.sub);
      if (this.connection.closed) return;
      if (driver?.suspended) {
        this.#suspend();
        return;
      }
      // An event that came meanwhile knows better.
      if (driver && (this.driver === null || driver.rev > this.driver.rev)) this.driver = driver;
      this.#loaded = true;
      this.#followZones();
      this.#trySnapshot();
    } catch {
      // Not loaded yet: the next tick asks again.
    } finally {
      this.#loading = false;
    }
  }

  /** What is known of him changed: approval, availability, type, load, zone. */
  onDriver(event: KnownDriver): void {
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

  /** He is somewhere else. Fixes older than the newest are no news. */
  onFix(zone: Zone, fix: Fix, seenAt: number): void {
    const driver = this.driver;
    if (!driver || (driver.fix && driver.fix.at >= fix.at)) return;
    const seen = Math.max(driver.seenAt, seenAt);
    this.driver = { ...driver, zone, fix, position: fix, seenAt: seen };
    if (this.#margin.covers(fix)) return;
    this.#followZones();
    this.#recompute();
  }

  /** What makes no event: he goes stale, or is heard of again. */
  tick(): void {
    if (!this.#loaded) void this.load();
    else if (this.#due === null && this.#availableNow() !== this.#available) {
      this.#snapshotWhenLoaded('availability');
    }
  }

  resync(why: string): void {
    this.#host.metrics.resync(why);
    this.#snapshotWhenLoaded('resync');
  }

  /** What only he is told: a job he holds changed, a notification. */
  onUserEvent({ event, data }: UserEvent): void {
    if (event === 'job:status') {
      const { job_id, version } = data as { job_id: string; version: number };
      // Older than what the client holds, by the zone's log: it goes by versions, and still holds it.
      if (version <= this.#own.of(job_id) || version < (this.#held.get(job_id) ?? 0)) return;
      this.#own.add(job_id, version);
      this.#held.delete(job_id);
    }
    this.connection.sendEvent(event, data);
  }

  end(): void {
    for (const mirror of this.#zones.values()) this.#leave(mirror);
    this.#zones.clear();
  }

  onOpen(job: MirroredJob, again: boolean): void {
    if (this.#due === null) this.#evaluate(job, again);
  }

  onClosed(job: ClosedJob): void {
    if (!this.#held.delete(job.id)) return;
    if (job.driverId === this.driver?.id) this.#own.add(job.id, job.version);
    this.connection.send('job:status', job.change);
  }

  onRefused(job: MirroredJob, driverId: string): void {
    if (driverId === this.driver?.id) this.onOpen(job, false);
  }

  onExpired(job: MirroredJob): void {
    this.onOpen(job, false);
  }

  onReload(): void {
    if (this.#due === null) this.#host.metrics.resync('reload');
    this.#due ??= 'resync';
    this.#trySnapshot();
  }

  #evaluate(job: MirroredJob, again = false): void {
    if (this.#isPast(job)) return;
    const held = this.#held.get(job.id);
    const hidden = this.#hidden(job);
    this.#margin.narrow(this.driver?.position ?? null, job);
    if (hidden !== null) {
      // He had it: news of that which come later are old.
      if (hidden === 'released') this.#own.add(job.id, job.version);
      if (held === undefined) return;
      this.#held.delete(job.id);
      const data = { job_id: job.id, version: job.version, reason: removalOf(hidden) };
      this.connection.send('job:removed', eventFrame('job:removed', data));
      return;
    }
    this.#held.set(job.id, job.version);
    if (held === undefined || again) {
      this.connection.send('job:new', job.offer);
      this.#host.deliveries.add(job.id, this.connection.identity.sub);
    } else if (job.version > held) {
      this.connection.send('job:status', job.change);
    }
  }

  /** What he was told by name may be ahead of the zone's log, which is another one. */
  #isPast(job: MirroredJob): boolean {
    return job.version <= this.#own.of(job.id);
  }

  #hidden(job: MirroredJob): HiddenReason | null {
    if (!this.driver) return 'not_approved';
    return hiddenReason(this.#heard(this.driver), job, this.#host.now(), this.#host.rules);
  }

  /** He is connected: his last frame or pong counts like one that Redis has seen. */
  #heard(driver: KnownDriver): KnownDriver {
    const { heardAt } = this.connection;
    if (driver.seenAt >= heardAt) return driver;
    // Kept: a copy for every job and every driver would be most of what a burst costs.
    this.driver = { ...driver, seenAt: heardAt };
    return this.driver;
  }

  #availableNow(): boolean {
    if (!this.driver) return false;
    const driver = this.#heard(this.driver);
    return unavailableReason(driver, this.#host.now(), this.#host.rules) === null;
  }

  /** Deltas from what the client holds to what he should see. */
  #recompute(): void {
    if (this.#due !== null) {
      this.#trySnapshot();
      return;
    }
    this.#margin.restart(this.driver?.position ?? null);
    const current = new Map<string, MirroredJob>();
    for (const mirror of this.#zones.values()) {
      for (const job of mirror.jobs.values()) current.set(job.id, job);
    }
    for (const [id, version] of this.#held) {
      if (current.has(id)) continue;
      this.#held.delete(id);
      const data = { job_id: id, version, reason: 'out_of_range' };
      this.connection.send('job:removed', eventFrame('job:removed', data));
    }
    for (const job of current.values()) this.#evaluate(job);
  }

  #snapshotWhenLoaded(reason: SnapshotReason): void {
    this.#due ??= reason;
    this.#trySnapshot();
  }

  /** Sends the snapshot that is due, unless a zone is still being loaded: then it follows. */
  #trySnapshot(): void {
    if (this.#due === null || !this.#loaded) return;
    for (const mirror of this.#zones.values()) if (!mirror.loaded) return;
    const reason = this.#due;
    this.#due = null;
    this.#held.clear();
    this.#margin.restart(this.driver?.position ?? null);
    this.#available = this.#availableNow();
    const jobs: string[] = [];
    for (const mirror of this.#zones.values()) {
      for (const job of mirror.jobs.values()) {
        this.#margin.narrow(this.driver?.position ?? null, job);
        if (this.#isPast(job) || this.#hidden(job) !== null) continue;
        this.#held.set(job.id, job.version);
        this.#host.deliveries.add(job.id, this.connection.identity.sub);
        jobs.push(job.json);
      }
    }
    const text = `{"event":"feed:snapshot","data":{"jobs":[${jobs.join()}],"reason":"${reason}"}}`;
    this.connection.send('feed:snapshot', textFrame(text));
  }

  /** Follows exactly the zones that a job within reach may lie in. */
  #followZones(): void {
    const here = this.driver?.position ?? null;
    const wanted = new Set(here ? [...zonesWithin(here, REACH_KM), WORLD] : [WORLD]);
    for (const [zone, mirror] of this.#zones) {
      if (wanted.has(zone)) continue;
      this.#zones.delete(zone);
      this.#leave(mirror);
    }
    for (const zone of wanted) {
      if (this.#zones.has(zone)) continue;
      const mirror = this.#host.acquireZone(zone);
      mirror.watchers.add(this);
      this.#zones.set(zone, mirror);
      if (!mirror.loaded) this.#due ??= 'moved';
    }
  }

  #leave(mirror: ZoneMirror): void {
    mirror.watchers.delete(this);
    this.#host.releaseZone(mirror);
  }

  #suspend(): void {
    this.connection.close(CLOSE.suspended, 'suspended', 'This driver may not work now');
  }
}

function newest(a: Fix | null, b: Fix | null): Fix | null {
  if (!a || !b) return a ?? b;
  return b.at >= a.at ? b : a;
}

/** The contract's words for why a job left one driver's feed. */
function removalOf(hidden: HiddenReason): 'out_of_range' | 'declined' | 'withdrawn' | 'reserved' {
  switch (hidden) {
    case 'out_of_range':
    case 'no_position':
      return 'out_of_range';
    case 'declined':
    case 'released':
      return 'declined';
    case 'reserved':
      return 'reserved';
    default:
      return 'withdrawn';
  }
}
