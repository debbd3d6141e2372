/** Who is connected to this gateway, by connection and by user. */
import { CLOSE } from '../../engine/domain/close-codes.ts';
import type { Session } from './commands.ts';
import type { Connection } from './connection.ts';
import type { FeedMetrics } from './metrics.ts';

/** Contract section 5: connections of one user. */
const PER_USER_MAX = 3;

/** A session and what the gateway remembers of it. */
export interface Member {
  session: Session;
  /** Which of the gateway's slices it is checked in. */
  slice: number;
  /** By the monotonic clock, as all its times. */
  nextPingAt: number;
  /** When his last sign of life was passed on. */
  aliveAt: number;
}

export class Sessions {
  readonly #metrics: FeedMetrics;
  readonly #members = new Map<Connection, Member>();
  /** `role:sub` → his sessions, oldest first. */
  readonly #byUser = new Map<string, Session[]>();

  constructor(metrics: FeedMetrics) {
    this.#metrics = metrics;
  }

  get size(): number {
    return this.#members.size;
  }

  members(): IterableIterator<Member> {
    return this.#members.values();
  }

  /** The sessions of one user. */
  of(role: Session['role'], id: string): readonly Session[] {
    return this.#byUser.get(`${role}:${id}`) ?? [];
  }

  /** Adds a session; if the user has too many, his oldest is closed. */
  add(member: Member): void {
    const { session } = member;
    this.#members.set(session.connection, member);
    this.#metrics.opened(session.role);
    const own = [...this.of(session.role, session.connection.identity.sub), session];
    while (own.length > PER_USER_MAX) {
      const text = 'More than three connections of one user';
      own.shift()?.connection.close(CLOSE.replaced, 'replaced', text);
    }
    this.#byUser.set(keyOf(session), own);
  }

  remove({ session }: Member): void {
    session.connection.closed = true;
    if (!this.#members.delete(session.connection)) return;
    this.#metrics.closed(session.role);
    session.end();
    const key = keyOf(session);
    const others = (this.#byUser.get(key) ?? []).filter((other) => other !== session);
    if (others.length > 0) this.#byUser.set(key, others);
    else this.#byUser.delete(key);
  }
}

function keyOf({ role, connection }: Session): string {
  return `${role}:${connection.identity.sub}`;
}
