/**
 * Pushes as the engine knows them: whom a wave is to reach, whether its offer still stands, and the
 * record of every attempt, which decides once for ever who may be pushed.
 */
import type { EngineContext } from '../context.ts';
import type { JobRow } from '../domain/job.ts';
import type { AttemptRow, PushAttempt, Pushed, PushResult } from '../domain/push.ts';
import { findJob } from '../pg/jobs.ts';
import { lastAttempts, listAttempts, recordAttempts, recordResults } from '../pg/push-attempts.ts';
import {
  countCandidates,
  listChunksDone,
  listWavePhones,
  markPushed,
  type WavePhone,
} from '../pg/waves.ts';
import { createOffers, type Offers } from './offers.ts';

export type { WavePhone } from '../pg/waves.ts';

export interface Pushes {
  offers: Offers;
  jobOf(jobId: string): Promise<JobRow | null>;
  /** How many candidates of a wave are to be pushed. */
  countCandidates(jobId: string, wave: number): Promise<number>;
  /** Which chunks of a wave's candidates, by their first position, are done with. */
  chunksDone(jobId: string, wave: number): Promise<Set<number>>;
  /** The chunk that begins at `from` is done with, after the last the wave is; null when none is left. */
  markPushed(
    jobId: string,
    wave: number,
    chunk: { from: number | null; chunkSize: number },
  ): Promise<void>;
  /** The phones of a wave's candidates `from` … `from + count - 1` to whom it is still offered. */
  phonesOf(
    jobId: string,
    wave: number,
    places: { from: number; count: number },
  ): Promise<WavePhone[]>;
  /** The attempts of a wave's push to these drivers in whose place no other was made. */
  lastAttempts(jobId: string, wave: number, among: readonly string[]): Promise<AttemptRow[]>;
  /** Puts pushes on record before they are sent; returns the ids of those that may not be. */
  recordAttempts(pushed: Pushed, attempts: readonly PushAttempt[]): Promise<Set<string>>;
  /** What became of attempts; may be said twice. */
  recordResults(results: readonly PushResult[]): Promise<void>;
  /** Every attempt of a job, oldest first. */
  attemptsOf(jobId: string): Promise<AttemptRow[]>;
  /** Every attempt of a notification, oldest first. */
  attemptsOfNotification(notificationId: string): Promise<AttemptRow[]>;
}

export function createPushes(ctx: EngineContext): Pushes {
  const { db } = ctx;
  return {
    offers: createOffers(ctx),
    jobOf: (jobId) => findJob(db, jobId),
    countCandidates: (jobId, wave) => countCandidates(db, jobId, wave),
    chunksDone: (jobId, wave) => listChunksDone(db, jobId, wave),
    markPushed: (jobId, wave, chunk) => markPushed(db, jobId, wave, chunk),
    phonesOf: (jobId, wave, places) => listWavePhones(db, jobId, wave, places),
    lastAttempts: (jobId, wave, among) => lastAttempts(db, jobId, wave, among),
    recordAttempts: (pushed, attempts) => recordAttempts(db, pushed, attempts),
    recordResults: (results) => recordResults(db, results),
    attemptsOf: (jobId) => listAttempts(db, { jobId }),
    attemptsOfNotification: (notificationId) => listAttempts(db, { notificationId }),
  };
}
