/**
 * Records which drivers' sockets were given which offers: kept for a second, then written to Postgres
 * in one statement. Operators read there who was reached, and drivers' counters are computed from it.
 */
import { randomBytes } from 'node:crypto';
import type { EngineContext } from '../context.ts';
import { type JobDeliveries, saveDeliveries } from '../pg/deliveries.ts';

const SAVE_MS = 1000;
/** Deliveries kept while Postgres is away or slow; of more the oldest are dropped, and not counted. */
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
      pending.add(jobId, driverId, performance.now());
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

/** Deliveries that are not in Postgres yet, each driver of a job once, oldest first. */
class Pending {
  /** Job → driver → when, by the monotonic clock. */
  readonly #jobs = new Map<string, Map<string, number>>();
  #dropped = 0;
  count = 0;

  get jobs(): number {
    return this.#jobs.size;
  }

  add(jobId: string, driverId: string, at: number): void {
    const drivers = this.#jobs.get(jobId) ?? new Map<string, number>();
    if (drivers.has(driverId)) return;
    if (drivers.size === 0) this.#jobs.set(jobId, drivers);
    drivers.set(driverId, at);
    this.count++;
    this.#dropOldest(this.count - PENDING_MAX);
  }

  /** Adds those of another that came later. */
  addAll(later: Pending): void {
    this.#dropOldest(this.count + later.count - PENDING_MAX);
    for (const [jobId, drivers] of later.#jobs) {
      for (const [driverId, at] of drivers) this.add(jobId, driverId, at);
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

  /** Begins with the job that was delivered first. */
  #dropOldest(surplus: number): void {
    if (surplus <= 0) return;
    const kept = this.count - surplus;
    for (const [jobId, drivers] of this.#jobs) {
      for (const driverId of drivers.keys()) {
        if (this.count <= kept) return;
        drivers.delete(driverId);
        this.count--;
        this.#dropped++;
      }
      this.#jobs.delete(jobId);
    }
  }
}

function toRow([jobId, drivers]: [string, Map<string, number>]): JobDeliveries {
  const first = Math.min(...drivers.values());
  return {
    jobId,
    ageMs: performance.now() - first,
    driverIds: [...drivers.keys()],
    afterMs: [...drivers.values()].map((at) => at - first),
  };
}
