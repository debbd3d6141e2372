/**
 * The leader: one of all workers does the duties. It holds a lease on Postgres's clock and renews it by a
 * heartbeat of its own, on a connection of its own, so that no duty, however slow, costs it the lease. When
 * it cannot renew, it stops its duties before another may begin. Every duty is safe to run twice.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../context.ts';
import type { Db } from '../pg/client.ts';
import type { Duty } from './duty.ts';
import { createLease } from './held-lease.ts';

/** Tests shorten them. */
export interface LeaderTimes {
  /** A holder that dies is replaced within this and one heartbeat. */
  leaseMs: number;
  heartbeatMs: number;
}
const TIMES: LeaderTimes = { leaseMs: 3000, heartbeatMs: 1000 };
/** How long a stop waits for the turns under way. */
const STOP_MS = 5000;

export interface Leader {
  /** Does this process hold the lease now? */
  leads(): boolean;
  /** One turn of every duty, for tests: as the leader would, without its lease. */
  runAll(): Promise<void>;
  close(): Promise<void>;
}

interface LeaderParts {
  db: Db;
  duties: readonly Duty[];
  log: Logger;
  count: (duty: string, done: number) => void;
  times?: LeaderTimes;
}

/** Starts to contend for the lease. `db` is a connection of the leader's own. */
export function startLeader(parts: LeaderParts): Leader {
  const { db, duties, log, times = TIMES } = parts;
  const lease = createLease(db, times.leaseMs);
  const stopping = new AbortController();
  let term: AbortController | null = null;
  /** Terms with a turn still under way; a lost term may outlast the beginning of the next. */
  const underWay = new Set<Promise<unknown>>();
  /** Postgres did not answer the last time; logged once in an outage. */
  let away = false;

  async function beat(): Promise<void> {
    try {
      await lease.renew();
      away = false;
    } catch (error) {
      if (!away) log.warn({ err: error }, 'maintenance: the lease cannot be asked for');
      away = true;
    }
    if (stopping.signal.aborted) return;
    if (!lease.isHeld())
      endTerm(away ? 'the lease could not be renewed' : 'another process holds the lease');
    else if (!term) beginTerm();
  }

  function beginTerm(): void {
    const begun = new AbortController();
    term = begun;
    log.info({ duties: duties.length }, 'maintenance: this process leads');
    const turns = Promise.all(duties.map((duty) => repeat(parts, duty, begun.signal))).finally(
      () => {
        underWay.delete(turns);
      },
    );
    underWay.add(turns);
  }

  function endTerm(why: string): void {
    if (!term) return;
    term.abort();
    term = null;
    log.info({ why }, 'maintenance: this process no longer leads');
  }

  async function contend(): Promise<void> {
    const { signal } = stopping;
    while (!signal.aborted) {
      await beat();
      await pause(term ? Math.min(times.heartbeatMs, lease.leftMs()) : times.heartbeatMs, signal);
    }
  }
  const contending = contend();

  return {
    leads: () => term !== null,
    async runAll() {
      for (const duty of duties) await turn(parts, duty, stopping.signal);
    },
    async close() {
      stopping.abort();
      endTerm('the process is stopping');
      await Promise.race([
        Promise.all([contending, ...underWay]),
        sleep(STOP_MS, undefined, { ref: false }),
      ]);
      await lease.drop(STOP_MS);
    },
  };
}

/** Turn after turn, until the term ends. */
async function repeat(parts: LeaderParts, duty: Duty, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await turn(parts, duty, signal);
    await pause(duty.everyMs, signal);
  }
}

async function turn({ count, log }: LeaderParts, duty: Duty, signal: AbortSignal): Promise<void> {
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

/** Keeps no process alive; ends at once when the signal aborts. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => {});
}
