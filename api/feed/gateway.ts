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
import type { TrackedFix } from '../../engine/drivers/parts.ts';
import type { Engine } from '../../engine/engine.ts';
import { listActiveJobs } from '../../engine/pg/jobs.ts';
import type { DispatchConfig } from '../../engine/process/config.ts';
import { type Auth, type Identity, UnauthorizedError } from '../auth.ts';
import { jobViews } from '../views.ts';
import { type Commands, createCommands } from './commands.ts';
import { CLOSE, Connection } from './connection.ts';
import { CustomerSession, type CustomerSessionHost } from './customer-session.ts';
import { DriverSession, type DriverSessionHost } from './driver-session.ts';
import { DriverWatch } from './driver-watch.ts';
import { FollowedLogs } from './followed-logs.ts';
import { FollowedZones } from './followed-zones.ts';
import { eventFrame } from './frame.ts';
import { createFeedMetrics, type FeedMetrics } from './metrics.ts';
import { type Member, Sessions } from './sessions.ts';
import { driversSource, usersSource } from './sources.ts';
import { refuseUpgrade, tokenOf } from './upgrade.ts';

export interface GatewayOptions {
  engine: Engine;
  auth: Auth;
  redisUrl: string;
  settings: DispatchConfig;
  registry: Registry;
  /** Contract section 5; tests shorten it. */
  heartbeatMs?: number;
  /** Tests have fewer. */
  sessionsMax?: number;
}

const HEARTBEAT_MS = 25_000;
/** Silent for so many heartbeats: the phone is gone. */
const SILENT_HEARTBEATS = 2;
/** Contract section 5: frames over 4 KiB close with 1009. */
const FRAME_MAX = 4096;
/** A process with more sockets than this has no memory left for their bursts. */
const SESSIONS_MAX = 50_000;
/** How often sessions are looked at for what makes no event. */
const TICK_MS = 250;
/** A sign of life is passed on to Redis at most this often a driver. */
const ALIVE_MS = 5000;
/** A draining process closes so many sockets, then pauses: their reconnects must not be a wave. */
const DRAIN_SLICE = 200;
const DRAIN_PAUSE_MS = 50;
/** Frames of one client without an answer yet; beyond it he sends faster than we can answer. */
const INBOX_MAX = 600;

export class Gateway {
  readonly #engine: Engine;
  readonly #auth: Auth;
  readonly #heartbeatMs: number;
  readonly #sessionsMax: number;
  readonly #pingMs: number;
  readonly #metrics: FeedMetrics;
  readonly #commands: Commands;
  readonly #logs: FollowedLogs;
  readonly #watch: DriverWatch;
  readonly #settings: DispatchConfig;
  readonly #wss = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: FRAME_MAX,
    perMessageDeflate: false,
    // Pings count as frames, and are answered with the tick's other frames.
    autoPong: false,
    handleProtocols: (offered) => (offered.has('muster.v1') ? 'muster.v1' : false),
  });
  readonly #sessions: Sessions;
  readonly #zones: FollowedZones;
  readonly #timer: NodeJS.Timeout;
  #draining = false;

  constructor(options: GatewayOptions) {
    const { engine, auth, redisUrl, settings, registry } = options;
    this.#engine = engine;
    this.#auth = auth;
    this.#settings = settings;
    this.#heartbeatMs = options.heartbeatMs ?? HEARTBEAT_MS;
    this.#sessionsMax = options.sessionsMax ?? SESSIONS_MAX;
    // With a short DRIVER_STALE_S a pong must come often enough to keep a connected driver fresh.
    this.#pingMs = Math.min(this.#heartbeatMs, settings.driverStaleMs / 3);
    this.#metrics = createFeedMetrics(registry);
    this.#commands = createCommands(engine, auth);
    this.#sessions = new Sessions(this.#metrics);
    this.#logs = new FollowedLogs(engine.ctx, redisUrl, {
      onDegraded: () => this.#announce('feed:degraded'),
      onLive: () => this.#announce('feed:live'),
      onFixes: (json) => this.onTracked(JSON.parse(json) as TrackedFix[]),
      onApplied: (at) => this.#metrics.lag((engine.ctx.now() - at) / 1000),
    });
    this.#zones = new FollowedZones(engine.ctx, this.#logs);
    this.#watch = new DriverWatch({
      knowDriver: (id) => engine.drivers.know(id),
      acquireZone: (zone) => this.#zones.acquire(zone),
      releaseZone: (mirror) => this.#zones.release(mirror),
    });
    this.#logs.follow(driversSource(engine, this.#sessions, this.#watch));
    this.#logs.follow(usersSource(engine, this.#sessions));
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
    // Null where the address is none (`GET //`): that must not throw.
    if (URL.parse(request.url ?? '', 'http://localhost')?.pathname !== '/ws') {
      return refuseUpgrade(socket, 404, 'not_found');
    }
    if (this.#draining) return refuseUpgrade(socket, 503, 'try_again');
    let identity: Identity;
    try {
      identity = await this.#auth.verify(tokenOf(request) ?? '');
    } catch (error) {
      if (error instanceof UnauthorizedError) return refuseUpgrade(socket, 401, 'unauthorized');
      return refuseUpgrade(socket, 503, 'try_again');
    }
    if (identity.role !== 'driver' && identity.role !== 'customer') {
      return refuseUpgrade(socket, 403, 'forbidden');
    }
    if (socket.destroyed) return;
    this.#wss.handleUpgrade(request, socket, head, (ws) => {
      socket.off('error', ignore);
      if (this.#sessions.size >= this.#sessionsMax) this.#turnAway(ws, socket, identity);
      else this.#open(ws, socket, identity);
    });
  }

  /** Where drivers are, as this process took it in or another one told. */
  onTracked(fixes: readonly TrackedFix[]): void {
    for (const { id, zone, fix, seenAt } of fixes) {
      for (const session of this.#sessions.of('driver', id)) {
        if (session.role === 'driver') session.onFix(zone, fix, seenAt);
      }
      this.#watch.onFix(id, fix);
    }
  }

  /** Closes every session, in slices, and stops following. Finishes what it owes Postgres. */
  async drain(): Promise<void> {
    this.#draining = true;
    const connections = [...this.#sessions.members()].map(({ session }) => session.connection);
    for (let i = 0; i < connections.length; i += DRAIN_SLICE) {
      for (const connection of connections.slice(i, i + DRAIN_SLICE)) {
        connection.close(CLOSE.deploy, 'deploy', 'The server restarts, please reconnect');
      }
      await sleep(DRAIN_PAUSE_MS);
    }
    clearInterval(this.#timer);
    this.#logs.close();
  }

  /** Says why and closes: a client that reads close codes backs off, one refused by HTTP may not. */
  #turnAway(ws: WebSocket, socket: Duplex, identity: Identity): void {
    ws.on('error', () => {});
    const wire = { ws, socket };
    new Connection(randomUUID(), identity, wire, this.#metrics, this.#engine.ctx.now).close(
      CLOSE.overload,
      'overload',
      'This server takes no more connections now',
    );
  }

  #open(ws: WebSocket, socket: Duplex, identity: Identity): void {
    const clock = this.#engine.ctx.now;
    const now = clock();
    const wire = { ws, socket };
    const connection = new Connection(randomUUID(), identity, wire, this.#metrics, clock);
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
    this.#sessions.add(member);
    ws.on('close', () => this.#sessions.remove(member));
    // A broken frame (1002, 1007, 1009): ws closes by itself.
    ws.on('error', () => {});
    ws.on('pong', () => {
      if (!connection.closed && connection.admit(this.#engine.ctx.now())) this.#heard(member);
    });
    ws.on('ping', (payload) => {
      if (!connection.closed && connection.admit(this.#engine.ctx.now())) connection.pong(payload);
    });
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
    void session.load().then(() => this.#heard(member));
  }

  /** A frame, a pong or a connection is a sign of life of a driver. */
  #heard(member: Member): void {
    const now = this.#engine.ctx.now();
    const { session } = member;
    session.connection.heardAt = now;
    if (session.role !== 'driver' || !session.driver) return;
    if (now - member.aliveAt < Math.min(ALIVE_MS, this.#pingMs / 2)) return;
    member.aliveAt = now;
    void this.#engine.drivers.track(session.driver, null);
  }

  #tick(): void {
    const now = this.#engine.ctx.now();
    this.#zones.expire(now);
    for (const member of this.#sessions.members()) {
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
    for (const { session } of this.#sessions.members()) session.connection.send(event, frame);
  }

  get #driverHost(): DriverSessionHost {
    return {
      rules: this.#settings,
      deliveries: this.#engine.deliveries,
      metrics: this.#metrics,
      now: this.#engine.ctx.now,
      loadDriver: (id) => this.#engine.drivers.know(id),
      acquireZone: (zone) => this.#zones.acquire(zone),
      releaseZone: (mirror) => this.#zones.release(mirror),
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
