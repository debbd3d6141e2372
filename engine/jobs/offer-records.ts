/** The records of a job's offers: its waves, what reached which driver, and how he answered. */
import type { AttemptRow } from '../domain/push.ts';
import type { Db } from '../pg/client.ts';
import {
  firstDeliveries,
  listWaves,
  type RefusalRow,
  refusalsOf,
  type WaveRow,
} from '../pg/explain.ts';
import { listAttempts } from '../pg/push-attempts.ts';

export interface OfferRecords {
  /** In order of the waves. */
  waves: readonly WaveRow[];
  /** When each driver's socket was first given the job. */
  deliveries: ReadonlyMap<string, string>;
  pushes: ReadonlyMap<string, AttemptRow[]>;
  refusals: ReadonlyMap<string, RefusalRow>;
}

export async function readRecords(db: Db, jobId: string): Promise<OfferRecords> {
  const [waves, deliveries, attempts, refusals] = await Promise.all([
    listWaves(db, jobId),
    firstDeliveries(db, jobId),
    listAttempts(db, { jobId }),
    refusalsOf(db, jobId),
  ]);
  // The critical lane tells people what became of the job; it offers nothing.
  const offers = attempts.filter(({ lane }) => lane === 'nearby');
  return {
    waves,
    deliveries,
    pushes: Map.groupBy(offers, ({ userId }) => userId),
    refusals: new Map(refusals.map((refusal) => [refusal.driverId, refusal])),
  };
}

/** Drivers who were candidates, were given the job, were pushed, or refused it; in the order of the waves. */
export function consideredIn({ waves, deliveries, pushes, refusals }: OfferRecords): Set<string> {
  const candidates = waves.flatMap((wave) => wave.candidates.map((one) => one.driverId));
  return new Set([...candidates, ...deliveries.keys(), ...pushes.keys(), ...refusals.keys()]);
}
