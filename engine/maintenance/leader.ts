/**
 * The leader: of all workers one sees to the duties. It holds a lease on Postgres's clock and renews it by a
 * heartbeat of its own, on a connection of its own, so that no duty, however slow, costs it the lease. When
 * it cannot renew, it stops its duties before another may begin. Every duty is safe to run twice.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Logger, withDeadline } from '../context.ts';
import type { Db } from '../pg/client.ts';
import { dropLease, MAINTENANCE_LEASE, takeLease } from '../pg/leases.ts';
import type { Duty } from './duty.ts';

/** Tests shorten them. */
export interface LeaderTimes {
  /** A holder that dies is replaced within this and one heartbeat. */
  leaseMs: number;
  heartbeatMs: number;
}
const TIMES: LeaderTimes = { leaseMs: 3000, heartbeatMs: 1000 };
/** A stop waits for the turns that are under way, but no longer. */
const STOP_MS = 5000;

export interface Leader {
  /** Does this process hold the lease now? */
  leads(): boolean;
  /** One turn of every duty, for tests: as the leader would, without its lease. */
  runAll(): Promise<void>;
  close(): Promise<void>;
}

/** Starts to contend for the lease. `db` is a connection of the leader's own, which it closes. */
export function startLeader(parts: {
  db: Db;
  duties: readonly Duty[];
  log: Logger;
  count: (duty: string, done: number) => void;
  times?: LeaderTimes;
}): Leader {
  const { db, duties, log, count, times = TIMES } = parts;
  const holder = randomUUID();
  const stopping = new AbortController();
  let term: AbortController | null = null;
  /** Terms of which a turn is under way still; a lost one may outlast the beginning of the next. */
  const underWay = new Set<Promise<unknown>>();
  /** Until when the lease is surely ours, by the monotonic clock. */
  let heldUntil = 0;
  /** Postgres did not answer the last time: said once in an outage. */
  let away = false;

  async function beat(): Promise<void> {
    const asked = performance.now();
    const late = () => new Error('Postgres does not answer');
    const left = term ? Math.max(1, heldUntil - asked) : times.leaseMs;
    try {
      const held = await withDeadline(
        takeLease(db, MAINTENANCE_LEASE, holder, times.leaseMs),
        left,
        late,
      );
      away = false;
      // From before the question: Postgres began to count later.
      if (held) heldUntil = asked + times.leaseMs;
      if (held && !term && !stopping.signal.aborted) beginTerm();
      if (!held) endTerm('another process holds the lease');
    } catch (error) {
      if (performance.now() >= heldUntil) endTerm('the lease could not be renewed');
      if (!away) log.warn({ err: error }, 'maintenance: the lease cannot be asked for');
      away = true;
    }
  }

  function beginTerm(): void {
    const begun = new AbortController();
    term = begun;
    log.info({ duties: duties.length }, 'maintenance: this process leads');
    const turns = Promise.all(duties.map((duty) => repeat(duty, begun.signal))).finally(() => {
      underWay.delete(turns);
    });
    underWay.add(turns);
  }

  function endTerm(why: string): void {
    if (!term) return;
    term.abort();
    term = null;
    log.info({ why }, 'maintenance: this process no longer leads');
  }

  async function repeat(duty: Duty, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await turn(duty, signal);
      await sleep(duty.everyMs, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  async function turn(duty: Duty, signal: AbortSignal): Promise<void> {
    const { name, repairs = true } = duty;
    try {
      const done = await duty.run(signal);
      if (done === 0) return;
      count(name, done);
      if (repairs) log.info({ duty: name, done }, 'repaired');
    } catch (error) {
      log.warn({ err: error, duty: name }, 'a turn failed, the next one repeats it');
    }
  }

  async function contend(): Promise<void> {
    while (!stopping.signal.aborted) {
      await beat();
      const pause = Math.min(times.heartbeatMs, term ? heldUntil - performance.now() : Infinity);
      await sleep(Math.max(0, pause), undefined, { signal: stopping.signal, ref: false }).catch(
        () => {},
      );
    }
  }
  const contending = contend();

  return {
    leads: () => term !== null,
    async runAll() {
      const { signal } = stopping;
      for (const duty of duties) await turn(duty, signal);
    },
    async close() {
      stopping.abort();
      endTerm('the process is stopping');
      await Promise.race([
        Promise.all([contending, ...underWay]),
        sleep(STOP_MS, undefined, { ref: false }),
      ]);
      if (performance.now() >= heldUntil) return;
      const late = () => new Error('Postgres does not answer');
      await withDeadline(dropLease(db, MAINTENANCE_LEASE, holder), STOP_MS, late).catch(() => {});
    },
  };
}
