/**
 * Pushes in the engine: whom a wave should reach, whether its offer still stands, and the record of
 * every attempt, which decides once and for all who may be pushed.
 */
import type { EngineContext } from '../context.ts';
import type { JobRow } from '../domain/job.ts';
import type { Attempt, AttemptRow } from '../domain/push.ts';
import { findJob } from '../pg/jobs.ts';
import { listAttempts, listAttemptsBefore } from '../pg/push-attempts.ts';
import { readLedger } from '../pg/push-ledger.ts';
import { markPushed, openPushes, readWindow, type WavePhone, WINDOW_PLACES } from '../pg/waves.ts';
import { createOffers, type Offers } from './offers.ts';
import { createRecord, type PushRecord } from './record.ts';

export interface Pushes {
  offers: Offers;
  jobOf(jobId: string): Promise<JobRow | null>;
  /** A wave's windows, by their first places; null when there is no such wave. Must be called before `window`. */
  openWave(jobId: string, wave: number): Promise<{ candidates: number; windows: number[] } | null>;
  /** The phones in a window to whose drivers the job is still offered, nearest first, and its record. */
  window(
    jobId: string,
    wave: number,
    firstPlace: number,
  ): Promise<{ phones: WavePhone[]; record: PushRecord }>;
  /** Every window of the wave is done. May be called twice. */
  markPushed(jobId: string, wave: number): Promise<void>;
  /** The record of a notification; `before`: attempts recorded elsewhere, oldest first. */
  recordOf(notificationId: string): Promise<{ record: PushRecord; before: Attempt[] }>;
  /** Every attempt of a job, oldest first. */
  attemptsOf(jobId: string): Promise<AttemptRow[]>;
}

export function createPushes(ctx: EngineContext): Pushes {
  const { db } = ctx;
  return {
    offers: createOffers(ctx),
    jobOf: (jobId) => findJob(db, jobId),

    async openWave(jobId, wave) {
      const candidates = await openPushes(db, jobId, wave);
      if (candidates === null) return null;
      const count = Math.ceil(candidates / WINDOW_PLACES);
      return { candidates, windows: Array.from({ length: count }, (_, i) => i * WINDOW_PLACES) };
    },

    async window(jobId, wave, firstPlace) {
      const key = { jobId, wave, firstPlace };
      const { phones, row } = await readWindow(db, key);
      return { phones, record: createRecord(db, key, row) };
    },

    markPushed: (jobId, wave) => markPushed(db, jobId, wave),

    async recordOf(notificationId) {
      const [row, before] = await Promise.all([
        readLedger(db, { notificationId }),
        listAttemptsBefore(db, notificationId),
      ]);
      return { record: createRecord(db, { notificationId }, row), before };
    },

    attemptsOf: (jobId) => listAttempts(db, { jobId }),
  };
}
