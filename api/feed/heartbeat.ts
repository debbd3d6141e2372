/**
 * Checks who is still there: pings every socket, closes those that are silent, too slow or have an expired
 * token, and passes on drivers' signs of life. By the monotonic clock: setting the wall clock closes nobody.
 */
import { CLOSE } from '../../engine/domain/close-codes.ts';
import type { KnownDriver } from '../../engine/engine.ts';
import type { Identity } from '../auth.ts';
import type { Member } from './sessions.ts';

/** Contract section 5. */
export const HEARTBEAT_MS = 25_000;
/** After this many silent heartbeats the phone is gone. */
const SILENT_HEARTBEATS = 2;
/** How often at most a driver's sign of life is passed on to Redis. */
const ALIVE_MS = 5000;

export interface HeartbeatParts {
  heartbeatMs: number;
  driverStaleMs: number;
  /** By the monotonic clock, ms. */
  elapsed(): number;
  /** Why a connected user must go, by what is known without asking a store; null when he may stay. */
  refusal(identity: Identity): Refusal | null;
  passOn(driver: KnownDriver): void;
}

/** A moment by both clocks: read once for all sessions that are checked in a tick. */
export interface Moment {
  /** By the monotonic clock, ms. */
  elapsed: number;
  /** Epoch ms, only for the expiry of tokens. */
  wall: number;
}

/** Close code, error code and sentence. */
export type Refusal = [status: number, code: string, text: string];

export class Heartbeat {
  readonly #parts: HeartbeatParts;
  readonly #pingMs: number;

  constructor(parts: HeartbeatParts) {
    this.#parts = parts;
    // With a short DRIVER_STALE_S pongs must come often enough to keep a connected driver from going stale.
    this.#pingMs = Math.min(parts.heartbeatMs, parts.driverStaleMs / 3);
  }

  /** The initial times of a new session. */
  start(): Pick<Member, 'nextPingAt' | 'aliveAt'> {
    const nextPingAt = this.#parts.elapsed() + this.#pingMs * Math.random();
    return { nextPingAt, aliveAt: Number.NEGATIVE_INFINITY };
  }

  /** A frame, a pong or a connection is a sign of life of a driver. */
  heard(member: Member): void {
    const now = this.#parts.elapsed();
    const { session } = member;
    session.connection.heardAt = now;
    if (session.role !== 'driver' || !session.driver) return;
    if (now - member.aliveAt < Math.min(ALIVE_MS, this.#pingMs / 2)) return;
    member.aliveAt = now;
    this.#parts.passOn(session.driver);
  }

  /** Pings a session when that is due. False if it had to be closed. */
  check(member: Member, { elapsed: now, wall }: Moment): boolean {
    const { connection } = member.session;
    if (connection.closed) return false;
    const refusal = this.#parts.refusal(connection.identity);
    if (refusal) connection.close(...refusal);
    else if (wall >= connection.expiresAt) {
      connection.close(CLOSE.tokenExpired, 'token_expired', 'The token has expired');
    } else if (now - connection.heardAt > SILENT_HEARTBEATS * this.#parts.heartbeatMs) {
      connection.close(CLOSE.silent, 'silent', 'No frame and no pong for two heartbeats');
    } else {
      connection.checkPace(now);
    }
    if (connection.closed) return false;
    if (now >= member.nextPingAt) {
      member.nextPingAt = now + this.#pingMs;
      connection.ping();
    }
    return true;
  }
}
