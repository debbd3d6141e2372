/**
 * The feed gateway of one process: takes WebSocket upgrades, gives each connection its session, and
 * closes them in an orderly way. Any number of gateways may run side by side; they share nothing but
 * Redis and Postgres.
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Registry } from 'prom-client';
import { type WebSocket, WebSocketServer } from 'ws';
import { CLOSE } from '../../engine/domain/close-codes.ts';
import type { Engine, TrackedFix } from '../../engine/engine.ts';
import type { Auth, Identity } from '../auth.ts';
import type { HostOf } from '../forwarded-host.ts';
import { limitUpgrades } from '../rate-limit.ts';
import { AUTH_FRAME_MAX } from './client-frames.ts';
import { type Commands, createCommands } from './commands.ts';
import { Connection } from './connection.ts';
import { Feed } from './feed.ts';
import { HEARTBEAT_MS, Heartbeat, type Refusal } from './heartbeat.ts';
import { receive } from './inbox.ts';
import type { Member } from './sessions.ts';
import { identify, refuseUpgrade } from './upgrade.ts';

export interface GatewayOptions {
  engine: Engine;
  auth: Auth;
  registry: Registry;
  /** The host that a client asked for; the Host header where no proxy is trusted. */
  hostOf?: HostOf;
  /** Contract section 5; tests shorten it. */
  heartbeatMs?: number;
  /** Tests have fewer. */
  sessionsMax?: number;
  /** By the monotonic clock, ms; tests hand in their own. */
  elapsed?: () => number;
}

/** With more sockets than this a process has no memory left for bursts. */
const SESSIONS_MAX = 50_000;
/** How often the feed is checked for changes without an event. */
const TICK_MS = 250;
/** Each session is checked once in so many ticks: with each tick, checks were half of what an idle socket costs. */
const TICK_SLICES = 2;
/**
 * A draining process closes its sockets in slices, with pauses, so that they do not reconnect all at once:
 * this many at once, or more where it has so many that all slices would take longer than 4 s.
 */
const DRAIN_SLICE = 200;
const DRAIN_SLICES_MAX = 80;
const DRAIN_PAUSE_MS = 50;

export class Gateway {
  readonly #engine: Engine;
  readonly #auth: Auth;
  readonly #elapsed: () => number;
  readonly #heartbeatMs: number;
  readonly #sessionsMax: number;
  readonly #heartbeat: Heartbeat;
  readonly #commands: Commands;
  readonly #feed: Feed;
  readonly #wss = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: AUTH_FRAME_MAX,
    perMessageDeflate: false,
    // Pings count as frames, and are answered with the tick's other frames.
    autoPong: false,
    handleProtocols: (offered) => (offered.has('muster.v1') ? 'muster.v1' : false),
  });
  readonly #hostOf: HostOf;
  readonly #upgrades = limitUpgrades();
  readonly #timer: NodeJS.Timeout;
  /** The slice of the sessions whose turn it is, and the one that the next session joins. */
  #slice = 0;
  #nextSlice = 0;
  #draining = false;

  constructor(options: GatewayOptions) {
    const { engine, auth, registry } = options;
    this.#engine = engine;
    this.#auth = auth;
    this.#hostOf = options.hostOf ?? (({ headers }) => headers.host);
    this.#elapsed = options.elapsed ?? (() => performance.now());
    this.#heartbeatMs = options.heartbeatMs ?? HEARTBEAT_MS;
    this.#sessionsMax = options.sessionsMax ?? SESSIONS_MAX;
    this.#heartbeat = new Heartbeat({
      heartbeatMs: this.#heartbeatMs,
      driverStaleMs: engine.settings.driverStaleMs,
      elapsed: this.#elapsed,
      refusal: (identity) => this.#refusalOf(identity),
      passOn: (driver) => void engine.drivers.track(driver, null),
    });
    this.#commands = createCommands(engine, auth);
    this.#feed = new Feed(engine, registry, this.#elapsed);
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Is every log being followed without a gap? Reported by readiness. */
  ready(): boolean {
    return this.#feed.degradedSince === null && !this.#draining;
  }

  /** Answers an HTTP upgrade to `/ws`. */
  async handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    // Until ws takes over, nothing else handles errors: a reset here would end the process.
    const ignore = () => {};
    socket.on('error', ignore);
    if (this.#draining) return refuseUpgrade(socket, 503, 'try_again');
    const admission = {
      auth: this.#auth,
      users: this.#engine.users,
      hostOf: this.#hostOf,
      waitMs: ({ role, sub }: Identity) => this.#upgrades.take(`${role}:${sub}`, this.#elapsed()),
    };
    const identity = await identify(request, admission, (status, code, retryAfterMs) => {
      refuseUpgrade(socket, status, code, retryAfterMs);
    });
    if (!identity || socket.destroyed) return;
    // Drained meanwhile: nobody would close this session.
    if (this.#draining) return refuseUpgrade(socket, 503, 'try_again');
    this.#wss.handleUpgrade(request, socket, head, (ws) => {
      socket.off('error', ignore);
      const connection = this.#connect(ws, socket, identity);
      if (this.#feed.sessions.size >= this.#sessionsMax) turnAway(ws, connection);
      else this.#open(ws, connection);
    });
  }

  /** Positions that this process took in. */
  onTracked(fixes: readonly TrackedFix[]): void {
    this.#feed.onTracked(fixes);
  }

  /** Closes every session, in slices, and stops following. */
  async drain(): Promise<void> {
    this.#draining = true;
    const connections = [...this.#feed.sessions.members()].map(({ session }) => session.connection);
    const slice = Math.max(DRAIN_SLICE, Math.ceil(connections.length / DRAIN_SLICES_MAX));
    for (let i = 0; i < connections.length; i += slice) {
      for (const connection of connections.slice(i, i + slice)) {
        connection.close(CLOSE.deploy, 'deploy', 'The server restarts, please reconnect');
      }
      await sleep(DRAIN_PAUSE_MS);
    }
    clearInterval(this.#timer);
    this.#feed.close();
  }

  #connect(ws: WebSocket, socket: Duplex, identity: Identity): Connection {
    const wire = { ws, socket };
    return new Connection(randomUUID(), identity, wire, this.#feed.metrics, this.#elapsed());
  }

  #open(ws: WebSocket, connection: Connection): void {
    const session = this.#feed.sessionOf(connection);
    this.#nextSlice = (this.#nextSlice + 1) % TICK_SLICES;
    const member: Member = { session, slice: this.#nextSlice, ...this.#heartbeat.start() };
    this.#feed.sessions.add(member);
    ws.on('close', () => this.#feed.sessions.remove(member));
    receive(ws, member, {
      commands: this.#commands,
      heartbeat: this.#heartbeat,
      elapsed: this.#elapsed,
    });
    connection.sendEvent('hello', {
      session_id: connection.id,
      heartbeat_s: this.#heartbeatMs / 1000,
      server_time: new Date(this.#engine.now()).toISOString(),
    });
    this.#feed.sendState(connection);
    void session.load().then(() => this.#heartbeat.heard(member));
  }

  /** Why a connected user must go; null when he may stay. */
  #refusalOf(identity: Identity): Refusal | null {
    if (this.#engine.users.isKnownBlocked(identity.sub)) {
      return [CLOSE.suspended, 'blocked', 'An operator has blocked this user'];
    }
    if (!this.#auth.isCurrent(identity)) {
      return [CLOSE.tokenExpired, 'unauthorized', 'The key of the token was withdrawn'];
    }
    return null;
  }

  #tick(): void {
    this.#feed.tick();
    this.#slice = (this.#slice + 1) % TICK_SLICES;
    const now = { elapsed: this.#elapsed(), wall: this.#engine.now() };
    for (const member of this.#feed.sessions.members()) {
      if (member.slice !== this.#slice) continue;
      if (this.#heartbeat.check(member, now)) member.session.tick();
    }
  }
}

/** Says why and closes: clients back off after a close code, but may not after an HTTP refusal. */
function turnAway(ws: WebSocket, connection: Connection): void {
  ws.on('error', () => {});
  const text = 'This server takes no more connections now';
  connection.close(CLOSE.overload, 'overload', text);
}
