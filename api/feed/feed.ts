/**
 * Everything that the sessions of one process share: the logs, the zones that they follow, the drivers
 * whom customers follow. Passes each event to the sessions it concerns.
 */
import type { Registry } from 'prom-client';
import type { Engine, KnownDriver, LogFeed, TrackedFix } from '../../engine/engine.ts';
import type { Session } from './commands.ts';
import type { Connection, FeedState } from './connection.ts';
import { CustomerSession, type CustomerSessionHost } from './customer-session.ts';
import { DriverSession, type DriverSessionHost } from './driver-session.ts';
import { DriverWatch, type DriverWatchHost } from './driver-watch.ts';
import { FollowedZones } from './followed-zones.ts';
import { eventFrame } from './frame.ts';
import { createFeedMetrics, type FeedMetrics } from './metrics.ts';
import { OpsFeed } from './ops/ops-feed.ts';
import { OpsSession } from './ops/ops-session.ts';
import { Sessions } from './sessions.ts';
import { createSnapshotFrames } from './snapshot-frames.ts';
import { createTurns } from './turns.ts';

export class Feed {
  readonly metrics: FeedMetrics;
  readonly sessions: Sessions;
  readonly #engine: Engine;
  readonly #elapsed: () => number;
  readonly #logs: LogFeed;
  readonly #zones: FollowedZones;
  readonly #watch: DriverWatch;
  readonly #driverHost: DriverSessionHost;
  readonly #customerHost: CustomerSessionHost;
  /** Exists while operators or viewers are connected. */
  #ops: OpsFeed | null = null;

  /** `elapsed` is the monotonic clock, ms. */
  constructor(engine: Engine, registry: Registry, elapsed: () => number) {
    this.#engine = engine;
    this.#elapsed = elapsed;
    this.metrics = createFeedMetrics(registry);
    this.sessions = new Sessions(this.metrics);
    this.#logs = this.#follow();
    this.#zones = new FollowedZones(this.#logs);
    const watchHost = this.#hostOfWatch();
    this.#watch = new DriverWatch(watchHost);
    this.#driverHost = this.#hostOfDrivers(watchHost);
    this.#customerHost = this.#hostOfCustomers();
  }

  /** Since when the feed may be stale, epoch ms; null while it is exact. */
  get degradedSince(): number | null {
    return this.#logs.degradedSince();
  }

  /** Makes a new connection's session; the caller adds it to `sessions` and loads it. */
  sessionOf(connection: Connection): Session {
    switch (connection.identity.role) {
      case 'driver':
        return new DriverSession(connection, this.#driverHost);
      case 'customer':
        return new CustomerSession(connection, this.#customerHost);
      default:
        this.#ops ??= this.#newOpsFeed();
        return new OpsSession(connection, this.#ops);
    }
  }

  /** Tells a new connection if the feed is degraded. */
  sendState(connection: Connection): void {
    const since = this.degradedSince;
    if (since === null) return;
    connection.sendState('feed:degraded', stateFrame('feed:degraded', since), false);
  }

  /** Positions of drivers, taken in by this process or another. */
  onTracked(fixes: readonly TrackedFix[]): void {
    for (const { id, zone, fix, seenAt } of fixes) {
      for (const session of this.sessions.of('driver', id)) {
        if (session.role === 'driver') session.onFix(zone, fix, seenAt);
      }
      this.#watch.onFix(id, fix);
    }
    this.#ops?.onTracked(fixes);
  }

  /** Regular work without an event, except that of the sessions themselves. */
  tick(): void {
    this.#zones.expire(this.#engine.now());
    this.#watch.tick();
    this.#ops?.tick();
  }

  /** Stops following. */
  close(): void {
    this.#logs.close();
  }

  #follow(): LogFeed {
    return this.#engine.logs.follow({
      onDegraded: () => this.#announce('feed:degraded'),
      onLive: () => {
        this.#ops?.reload();
        this.#announce('feed:live');
      },
      onFixes: (fixes) => this.onTracked(fixes),
      onApplied: (at) => this.metrics.lag((this.#engine.now() - at) / 1000),
      onDriver: (driver) => this.#onDriver(driver),
      onDriversMissed: () => this.#reviveDrivers(),
      onUserEvent: (event) => {
        for (const session of this.sessions.of(event.app, event.user)) {
          if (session.role !== 'operator') session.onUserEvent(event);
        }
        this.#ops?.onUserEvent(event);
      },
      onUserEventsMissed: () => {
        this.#ops?.reload();
        for (const { session } of this.sessions.members()) {
          if (session.role === 'customer') session.resync('users_log');
        }
      },
    });
  }

  /** A client that is due a snapshot is told `feed:live` after it: before, its feed is not exact. */
  #announce(event: FeedState): void {
    const frame = stateFrame(event, this.degradedSince ?? this.#engine.now());
    for (const { session } of this.sessions.members()) {
      const isAfterSnapshot = event === 'feed:live' && session.isSnapshotDue;
      session.connection.sendState(event, frame, isAfterSnapshot);
    }
  }

  #onDriver(driver: KnownDriver): void {
    this.#watch.onDriver(driver);
    this.#ops?.onDriver(driver);
    for (const session of this.sessions.of('driver', driver.id)) {
      if (session.role === 'driver') session.onDriver(driver);
    }
  }

  /** Redis may have forgotten where the connected drivers are: tells it again, without a fix from them. */
  #reviveDrivers(): void {
    this.#watch.reload();
    this.#ops?.reload();
    for (const { session } of this.sessions.members()) {
      if (session.role !== 'driver') continue;
      if (session.driver) void this.#engine.drivers.track(session.driver, session.driver.fix);
      session.reload();
    }
  }

  #newOpsFeed(): OpsFeed {
    const onEmpty = () => {
      this.#ops = null;
    };
    return new OpsFeed({ engine: this.#engine, logs: this.#logs, elapsed: this.#elapsed, onEmpty });
  }

  #hostOfWatch(): DriverWatchHost {
    return {
      knowDriver: (id) => this.#engine.drivers.know(id),
      acquireZone: (zone) => this.#zones.acquire(zone),
      releaseZone: (mirror) => this.#zones.release(mirror),
    };
  }

  #hostOfDrivers(watchHost: DriverWatchHost): DriverSessionHost {
    return {
      ...watchHost,
      hasZone: (zone) => this.#zones.has(zone),
      rules: this.#engine.settings,
      deliveries: this.#engine.deliveries,
      snapshots: createSnapshotFrames(),
      turns: createTurns(),
      metrics: this.metrics,
      now: this.#engine.now,
      elapsed: this.#elapsed,
    };
  }

  #hostOfCustomers(): CustomerSessionHost {
    return {
      metrics: this.metrics,
      elapsed: this.#elapsed,
      loadJobs: (customerId) => this.#engine.jobs.active(customerId),
      watchDriver: (id, session) => this.#watch.watch(id, session),
      unwatchDriver: (id, session) => this.#watch.unwatch(id, session),
    };
  }
}

function stateFrame(event: FeedState, since: number): Buffer {
  return eventFrame(event, { since: new Date(since).toISOString() });
}
