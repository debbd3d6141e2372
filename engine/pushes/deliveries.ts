/**
 * Records which drivers' sockets were given which offers: kept for a second, then written to Postgres
 * in one statement. Operators read there who was reached, and drivers' counters are computed from it.
 */
import { randomBytes } from 'node:crypto';
import type { EngineContext } from '../context.ts';
import { type JobDeliveries, saveDeliveries } from '../pg/deliveries.ts';

const SAVE_MS = 1000;
/** Offers kept while Postgres is away; offers beyond that are not counted. */
const PENDING_MAX = 100_000;
const GATEWAY_BYTES = 4;

export interface Deliveries {
  /** A socket of this driver was given the job. */
  add(jobId: string, driverId: string): void;
  /** Writes what is pending. */
  close(): Promise<void>;
}

export function createDeliveries({ db, log }: Pick<EngineContext, 'db' | 'log'>): Deliveries {
  /** Two processes that draw the same number share a row, which does no harm. */
  const gateway = randomBytes(GATEWAY_BYTES).toString('hex');
  /** Job → driver → when, by the monotonic clock. */
  let pending = new Map<string, Map<string, number>>();
  let count = 0;
  let saving: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;

  function save(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    if (pending.size === 0) return saving;
    const batch = pending;
    pending = new Map();
    count = 0;
    saving = saving
      .then(() => saveDeliveries(db, gateway, [...batch].map(toRow)))
      .catch((error: unknown) => {
        for (const [jobId, drivers] of batch) for (const [id, at] of drivers) put(jobId, id, at);
        log.warn({ err: error, jobs: batch.size }, 'deliveries not yet in Postgres');
      });
    return saving;
  }

  function put(jobId: string, driverId: string, at: number): void {
    if (count >= PENDING_MAX) return;
    count++;
    timer ??= setTimeout(() => void save(), SAVE_MS).unref();
    const drivers = pending.get(jobId);
    if (!drivers) pending.set(jobId, new Map([[driverId, at]]));
    else drivers.set(driverId, Math.min(at, drivers.get(driverId) ?? at));
  }

  return {
    add: (jobId, driverId) => put(jobId, driverId, performance.now()),
    async close() {
      await save();
      clearTimeout(timer);
    },
  };
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
