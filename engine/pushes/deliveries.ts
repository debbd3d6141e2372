/**
 * Records which drivers' sockets were given which offers: kept for a second, then written to Postgres
 * in one statement. Operators read there who was reached, and drivers' counters are computed from it.
 */
import { randomBytes } from 'node:crypto';
import type { EngineContext } from '../context.ts';
import { type JobDeliveries, saveDeliveries } from '../pg/deliveries.ts';

const SAVE_MS = 1000;
/** Deliveries kept while Postgres is away or slow; beyond it the oldest jobs' are dropped, and not counted. */
const PENDING_MAX = 100_000;
const GATEWAY_BYTES = 4;

export interface Deliveries {
  /** A socket of this driver was given the job. */
  add(jobId: string, driverId: string): void;
  /** Writes what is pending, once the write under way has ended. */
  close(): Promise<void>;
}

export function createDeliveries({ db, log }: Pick<EngineContext, 'db' | 'log'>): Deliveries {
  /** Two processes that draw the same number share a row, which does no harm. */
  const gateway = randomBytes(GATEWAY_BYTES).toString('hex');
  let pending = new Pending();
  /** One at a time: what comes meanwhile waits in `pending`, however long that takes. */
  let saving: Promise<void> | null = null;
  /** A save became due while another was under way. */
  let due = false;
  let timer: NodeJS.Timeout | undefined;
  const nowInTurn = createTurnClock();

  function save(): void {
    clearTimeout(timer);
    timer = undefined;
    due = saving !== null;
    if (due || pending.count === 0) return;
    saving = write().then((saved) => {
      saving = null;
      // After a failure there is a pause, so that a Postgres that is away is not asked without end.
      if (due && saved) save();
      else if (pending.count > 0) saveSoon();
    });
  }

  /** Writes what is pending; what could not be written is pending again. */
  async function write(): Promise<boolean> {
    const batch = pending;
    pending = new Pending();
    try {
      await saveDeliveries(db, gateway, batch.rows());
      const dropped = pending.takeDropped();
      if (dropped > 0) log.warn({ dropped }, 'deliveries dropped: Postgres was too slow');
      return true;
    } catch (error) {
      const { jobs } = batch;
      batch.addAll(pending);
      pending = batch;
      const dropped = batch.takeDropped();
      log.warn({ err: error, jobs, dropped }, 'deliveries not yet in Postgres');
      return false;
    }
  }

  function saveSoon(): void {
    timer ??= setTimeout(save, SAVE_MS).unref();
  }

  return {
    add(jobId, driverId) {
      pending.add(jobId, driverId, nowInTurn());
      saveSoon();
    },
    async close() {
      // One that failed leaves its deliveries to the last try.
      await saving;
      save();
      await saving;
      clearTimeout(timer);
    },
  };
}

/** The monotonic clock, read once in a turn of the event loop: a job goes to thousands of sockets in it. */
function createTurnClock(): () => number {
  let now: number | null = null;
  return () => {
    if (now === null) {
      now = performance.now();
      setImmediate(() => {
        now = null;
      });
    }
    return now;
  };
}

/** When which drivers were given a job, in that order; who was told twice is listed twice. */
interface Told {
  driverIds: string[];
  /** By the monotonic clock. */
  at: number[];
}

/** Deliveries that are not in Postgres yet, oldest jobs first. */
class Pending {
  readonly #jobs = new Map<string, Told>();
  #dropped = 0;
  count = 0;

  get jobs(): number {
    return this.#jobs.size;
  }

  add(jobId: string, driverId: string, at: number): void {
    let told = this.#jobs.get(jobId);
    if (!told) {
      told = { driverIds: [], at: [] };
      this.#jobs.set(jobId, told);
    }
    told.driverIds.push(driverId);
    told.at.push(at);
    this.count++;
    while (this.count > PENDING_MAX) this.#dropOldest();
  }

  /** Adds those of another that came later. */
  addAll(later: Pending): void {
    for (const [jobId, { driverIds, at }] of later.#jobs) {
      for (const [i, driverId] of driverIds.entries()) this.add(jobId, driverId, at[i] as number);
    }
    this.#dropped += later.#dropped;
  }

  /** How many were dropped since the last call. */
  takeDropped(): number {
    const dropped = this.#dropped;
    this.#dropped = 0;
    return dropped;
  }

  rows(): JobDeliveries[] {
    return [...this.#jobs].map(toRow);
  }

  /** The job that was delivered first. */
  #dropOldest(): void {
    for (const [jobId, { driverIds }] of this.#jobs) {
      this.#jobs.delete(jobId);
      this.count -= driverIds.length;
      this.#dropped += driverIds.length;
      return;
    }
  }
}

/** Each driver once, as of his first time. */
function toRow([jobId, told]: [string, Told]): JobDeliveries {
  const first = told.at[0] as number;
  const after = new Map<string, number>();
  for (const [i, driverId] of told.driverIds.entries()) {
    if (!after.has(driverId)) after.set(driverId, Math.round((told.at[i] as number) - first));
  }
  return {
    jobId,
    ageMs: performance.now() - first,
    driverIds: [...after.keys()],
    afterMs: [...after.values()],
  };
}
