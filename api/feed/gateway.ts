/**
 * The feed gateway of one process: takes WebSocket upgrades, keeps the sessions, follows the logs
 * that they need, and closes them in an orderly way. Any number of gateways may run side by side;
 * they share nothing but Redis and Postgres.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Registry } from 'prom-client';
import { type WebSocket, WebSocketServer } from 'ws';
import type { DispatchConfig } from '../../engine/config.ts';
import type { Zone } from '../../engine/domain/zones.ts';
import { parseDriverEvent } from '../../engine/drivers.ts';
import type { Engine } from '../../engine/engine.ts';
import { listActiveJobs } from '../../engine/pg/jobs.ts';
import { ensureDrivers } from '../../engine/rebuild.ts';
import { driversLog, usersLog } from '../../engine/redis/keys.ts';
import type { UserEvent } from '../../engine/settle.ts';
import type { TrackedFix } from '../../engine/track.ts';
import type { Auth, Identity } from '../auth.ts';
import { jobViews } from '../views.ts';
import { type Commands, createCommands, type Session } from './commands.ts';
import { CLOSE, Connection } from './connection.ts';
import { CustomerSession, type CustomerSessionHost } from './customer-session.ts';
import { createDeliveries, type Deliveries } from './deliveries.ts';
import { DriverSession, type DriverSessionHost } from './driver-session.ts';
import { DriverWatch } from './driver-watch.ts';
import { FollowedLogs } from './followed-logs.ts';
import { eventFrame } from './frame.ts';
import type { LogSource } from './log-follower.ts';
import { createFeedMetrics, type FeedMetrics } from './metrics.ts';
import { refuseUpgrade, tokenOf } from './upgrade.ts';
import { ZoneMirror } from './zone-mirror.ts';

export interface GatewayOptions {
  engine: Engine;
  auth: Auth;
  redisUrl: string;
  settings: DispatchConfig;
  registry: Registry;
  /** Contract section 5; tests shorten it. */
  heartbeatMs?: number;
}

const HEARTBEAT_MS = 25_000;
/** Silent for so many heartbeats: the phone is gone. */
const SILENT_HEARTBEATS = 2;
/** Contract section 5: frames over 4 KiB close with 1009. */
const FRAME_MAX = 4096;
/** Contract section 5: connections of one user. */
const PER_USER_MAX = 3;
/** A process with more sockets than this has no memory left for their bursts. */
const SESSIONS_MAX = 50_000;
/** How often sessions are looked at for what makes no event. */
const TICK_MS = 250;
/** A sign of life is passed on to Redis at most this often a driver. */
const ALIVE_MS = 5000;
/** A draining process closes so many sockets, then pauses: their reconnects must not be a wave. */
const DRAIN_SLICE = 200;
const DRAIN_PAUSE_MS = 50;
/** A zone that nobody needs any more is followed a little longer: drivers cross borders to and fro. */
const ZONE_LINGER_MS = 10_000;
/** Frames of one client without an answer yet; beyond it he sends faster than we can answer. */
const INBOX_MAX = 600;

interface Member {
  session: Session;
  nextPingAt: number;
  aliveAt: number;
  inbox: number;
}

export class Gateway {
  readonly #engine: Engine;
  readonly #auth: Auth;
  readonly #heartbeatMs: number;
  readonly #pingMs: number;
  readonly #metrics: FeedMetrics;
  readonly #deliveries: Deliveries;
  readonly #commands: Commands;
  readonly #logs: FollowedLogs;
  readonly #watch: DriverWatch;
  readonly #settings: DispatchConfig;
  readonly #wss = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: FRAME_MAX,
    perMessageDeflate: false,
    handleProtocols: (offered) => (offered.has('muster.v1') ? 'muster.v1' : false),
  });
  readonly #members = new Map<Connection, Member>();
  /** `role:sub` → his connections, oldest first. */
  readonly #users = new Map<string, Connection[]>();
  readonly #zones = new Map<Zone, ZoneMirror>();
  readonly #timer: NodeJS.Timeout;
  #draining = false;

  constructor(options: GatewayOptions) {
    const { engine, auth, redisUrl, settings, registry } = options;
    this.#engine = engine;
    this.#auth = auth;
    this.#settings = settings;
    this.#heartbeatMs = options.heartbeatMs ?? HEARTBEAT_MS;
    // With a short DRIVER_STALE_S a pong must come often enough to keep a connected driver fresh.
    this.#pingMs = Math.min(this.#heartbeatMs, settings.driverStaleMs / 3);
    this.#metrics = createFeedMetrics(registry);
    this.#deliveries = createDeliveries(engine.ctx);
    this.#commands = createCommands(engine, auth);
    this.#watch = new DriverWatch({
      knowDriver: (id) => engine.knowDriver(id),
      acquireZone: (zone) => this.#acquireZone(zone),
      releaseZone: (mirror) => this.#releaseZone(mirror),
    });
    this.#logs = new FollowedLogs(engine.ctx, redisUrl, {
      onDegraded: () => this.#announce('feed:degraded'),
      onLive: () => this.#onLive(),
      onFixes: (json) => this.onTracked(JSON.parse(json) as TrackedFix[]),
      onApplied: (at) => this.#metrics.lag((engine.ctx.now() - at) / 1000),
    });
    this.#follow(this.#driversSource());
    this.#follow(this.#usersSource());
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Is every followed log being followed? What readiness reports. */
  ready(): boolean {
    return this.#logs.degradedSince === null && !this.#draining;
  }

  /** Answers an HTTP upgrade to `/ws`. */
  async handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    // Until ws takes over, nobody else listens: a reset here would end the process.
    const ignore = () => {};
    socket.on('error', ignore);
    if (new URL(request.url ?? '/', 'http://localhost').pathname !== '/ws') {
      return refuseUpgrade(socket, 404, 'not_found');
    }
    if (this.#draining || this.#members.size >= SESSIONS_MAX) {
      return refuseUpgrade(socket, 503, 'try_again');
    }
    let identity: Identity;
    try {
      identity = await this.#auth.verify(tokenOf(request) ?? '');
    } catch {
      return refuseUpgrade(socket, 401, 'unauthorized');
    }
    if (identity.role !== 'driver' && identity.role !== 'customer') {
      return refuseUpgrade(socket, 403, 'forbidden');
    }
    if (socket.destroyed) return;
    this.#wss.handleUpgrade(request, socket, head, (ws) => {
      socket.off('error', ignore);
      this.#open(ws, socket, identity);
    });
  }

  /** Where drivers are, as this process took it in or another one told. */
  onTracked(fixes: readonly TrackedFix[]): void {
    for (const { id, zone, fix, seenAt } of fixes) {
      for (const session of this.#sessionsOf('driver', id)) {
        if (session.role === 'driver') session.onFix(zone, fix, seenAt);
      }
      this.#watch.onFix(id, fix);
    }
  }

  /** Closes every session, in slices, and stops following. Finishes what it owes Postgres. */
  async drain(): Promise<void> {
    this.#draining = true;
    const connections = [...this.#members.keys()];
    for (let i = 0; i < connections.length; i += DRAIN_SLICE) {
      for (const connection of connections.slice(i, i + DRAIN_SLICE)) {
        connection.close(CLOSE.deploy, 'deploy', 'The server restarts, please reconnect');
      }
      await sleep(DRAIN_PAUSE_MS);
    }
    clearInterval(this.#timer);
    this.#logs.close();
    await this.#deliveries.close();
  }

  #open(ws: WebSocket, socket: Duplex, identity: Identity): void {
    const now = this.#engine.ctx.now();
    const connection = new Connection(randomUUID(), identity, { ws, socket }, this.#metrics, now);
    const session =
      identity.role === 'driver'
        ? new DriverSession(connection, this.#driverHost)
        : new CustomerSession(connection, this.#customerHost);
    const member: Member = {
      session,
      nextPingAt: now + this.#pingMs * Math.random(),
      aliveAt: 0,
      inbox: 0,
    };
    this.#register(member);
    ws.on('close', () => this.#end(member));
    // A broken frame (1002, 1007, 1009): ws closes by itself.
    ws.on('error', () => {});
    ws.on('pong', () => this.#heard(member));
    ws.on('ping', () => connection.admit(this.#engine.ctx.now()));
    ws.on('message', (data: Buffer, binary) => {
      if (connection.closed || !connection.admit(this.#engine.ctx.now())) return;
      this.#heard(member);
      if (binary) {
        connection.badFrame(undefined, 'invalid_request', 'Frames must be text', {});
        return;
      }
      if (++member.inbox > INBOX_MAX) {
        connection.close(CLOSE.tooFast, 'rate_limited', 'Too many frames have no answer yet');
        return;
      }
      const handled = () => {
        member.inbox--;
      };
      void this.#commands.handle(session, data.toString()).then(handled);
    });
    connection.sendEvent('hello', {
      session_id: connection.id,
      heartbeat_s: this.#heartbeatMs / 1000,
      server_time: new Date(now).toISOString(),
    });
    const { degradedSince } = this.#logs;
    if (degradedSince !== null)
      connection.send('feed:degraded', stateFrame('feed:degraded', degradedSince));
    void this.#begin(session);
  }

  /** The first snapshot; when a store is away the feed is degraded and `#onLive` tries again. */
  async #begin(session: Session): Promise<void> {
    if (session.role === 'customer') return session.load();
    try {
      const driver = await this.#engine.knowDriver(session.connection.identity.sub);
      if (session.connection.closed) return;
      session.begin(driver);
      const member = this.#members.get(session.connection);
      if (member) this.#heard(member);
    } catch (error) {
      this.#engine.ctx.log.warn({ err: error }, 'a driver could not be read');
    }
  }

  #register(member: Member): void {
    const { connection, role } = member.session;
    this.#members.set(connection, member);
    this.#metrics.opened(role);
    const user = `${role}:${connection.identity.sub}`;
    const own = this.#users.get(user) ?? [];
    this.#users.set(user, own);
    own.push(connection);
    while (own.length > PER_USER_MAX) {
      own.shift()?.close(CLOSE.replaced, 'replaced', 'More than three connections of one user');
    }
  }

  #end(member: Member): void {
    const { session } = member;
    const { connection } = session;
    connection.closed = true;
    if (!this.#members.delete(connection)) return;
    this.#metrics.closed(session.role);
    session.end();
    const user = `${session.role}:${connection.identity.sub}`;
    const others = (this.#users.get(user) ?? []).filter((other) => other !== connection);
    if (others.length > 0) this.#users.set(user, others);
    else this.#users.delete(user);
  }

  /** A frame, a pong or a connection is a sign of life of a driver. */
  #heard(member: Member): void {
    const now = this.#engine.ctx.now();
    const { session } = member;
    session.connection.heardAt = now;
    if (session.role !== 'driver' || !session.driver) return;
    if (now - member.aliveAt < Math.min(ALIVE_MS, this.#pingMs / 2)) return;
    member.aliveAt = now;
    void this.#engine.tracker.add(session.driver, null);
  }

  #sessionsOf(role: Session['role'], id: string): Session[] {
    return (this.#users.get(`${role}:${id}`) ?? []).flatMap(
      (connection) => this.#members.get(connection)?.session ?? [],
    );
  }

  #tick(): void {
    const now = this.#engine.ctx.now();
    for (const mirror of this.#zones.values()) mirror.expire(now);
    for (const member of this.#members.values()) {
      const { connection } = member.session;
      if (connection.closed) continue;
      if (now >= connection.expiresAt) {
        connection.close(CLOSE.tokenExpired, 'token_expired', 'The token has expired');
      } else if (now - connection.heardAt > SILENT_HEARTBEATS * this.#heartbeatMs) {
        connection.close(CLOSE.silent, 'silent', 'No frame and no pong for two heartbeats');
      } else {
        connection.checkPace(now);
        member.session.tick();
        if (now >= member.nextPingAt) {
          member.nextPingAt = now + this.#pingMs;
          connection.ping();
        }
      }
    }
  }

  #announce(event: 'feed:degraded' | 'feed:live'): void {
    const frame = stateFrame(event, this.#logs.degradedSince ?? this.#engine.ctx.now());
    for (const connection of this.#members.keys()) connection.send(event, frame);
  }

  #onLive(): void {
    for (const { session } of this.#members.values()) {
      if (session.role === 'driver' && !session.driver) void this.#begin(session);
    }
    this.#announce('feed:live');
  }

  #follow(source: LogSource): void {
    // When it fails, the feed is degraded and the next comparison loads it.
    this.#logs.follow(source).catch(() => {});
  }

  #acquireZone(zone: Zone): ZoneMirror {
    let mirror = this.#zones.get(zone);
    if (!mirror) {
      mirror = new ZoneMirror(this.#engine.ctx, zone);
      this.#zones.set(zone, mirror);
      this.#follow(mirror);
    }
    mirror.users++;
    return mirror;
  }

  #releaseZone(mirror: ZoneMirror): void {
    mirror.users--;
    if (mirror.users > 0) return;
    setTimeout(() => {
      if (mirror.users > 0 || this.#zones.get(mirror.zone) !== mirror) return;
      this.#zones.delete(mirror.zone);
      this.#logs.unfollow(mirror);
    }, ZONE_LINGER_MS).unref();
  }

  /** What is known of drivers: after a loss all connected ones are read again and count again. */
  #driversSource(): LogSource {
    const { ctx } = this.#engine;
    return {
      keys: driversLog,
      load: async (suspect) => {
        if (suspect) await ctx.redis.hdel(driversLog.meta, 'ready');
        await ensureDrivers(ctx);
        const last = (await ctx.redis.hget(driversLog.meta, 'last')) ?? '0-0';
        if (suspect) this.#reviveDrivers();
        return last;
      },
      apply: (body) => {
        const driver = parseDriverEvent(body);
        this.#watch.onDriver(driver);
        for (const session of this.#sessionsOf('driver', driver.id)) {
          if (session.role === 'driver') session.onDriver(driver);
        }
      },
    };
  }

  /** Redis may have forgotten where the connected drivers are: tell it, without a fix from them. */
  #reviveDrivers(): void {
    for (const { session } of this.#members.values()) {
      if (session.role !== 'driver') continue;
      if (session.driver) void this.#engine.tracker.add(session.driver, session.driver.fix);
      const id = session.connection.identity.sub;
      this.#engine.knowDriver(id).then(
        (driver) => driver && session.onDriver(driver),
        () => {},
      );
    }
  }

  /** What single users are told. Customers read anew what they may have missed. */
  #usersSource(): LogSource {
    const { redis } = this.#engine.ctx;
    return {
      keys: usersLog,
      load: async (suspect) => {
        await redis.hset(usersLog.meta, 'ready', '1');
        const last = (await redis.hget(usersLog.meta, 'last')) ?? '0-0';
        for (const { session } of this.#members.values()) {
          if (suspect && session.role === 'customer') session.resync('users_log');
        }
        return last;
      },
      apply: (body) => {
        const event = JSON.parse(body) as UserEvent;
        for (const session of this.#sessionsOf(event.app, event.user)) session.onUserEvent(event);
      },
    };
  }

  get #driverHost(): DriverSessionHost {
    return {
      rules: this.#settings,
      deliveries: this.#deliveries,
      metrics: this.#metrics,
      now: this.#engine.ctx.now,
      acquireZone: (zone) => this.#acquireZone(zone),
      releaseZone: (mirror) => this.#releaseZone(mirror),
    };
  }

  get #customerHost(): CustomerSessionHost {
    const { db } = this.#engine.ctx;
    return {
      metrics: this.#metrics,
      now: this.#engine.ctx.now,
      loadJobs: async (identity) => {
        return jobViews(db, await listActiveJobs(db, identity.sub), identity);
      },
      watchDriver: (id, session) => this.#watch.watch(id, session),
      unwatchDriver: (id, session) => this.#watch.unwatch(id, session),
    };
  }
}

function stateFrame(event: string, since: number): Buffer {
  return eventFrame(event, { since: new Date(since).toISOString() });
}
