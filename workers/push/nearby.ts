/**
 * The nearby lane: tells drivers in range that a wave has opened. A wave becomes chunks, a chunk
 * goes out in windows. Before each window one script asks whether the job is still open and marks
 * its drivers, and Postgres is asked whom it knows as pushed already: a task that runs again, or a
 * Redis that forgot, pushes nobody twice, and a claim silences the rest.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineContext } from '../../engine/context.ts';
import type { JobRow } from '../../engine/domain/job.ts';
import { newJobAlert } from '../../engine/domain/notices.ts';
import { zoneOfJob } from '../../engine/domain/zones.ts';
import { findJob } from '../../engine/pg/jobs.ts';
import { attemptedDrivers, deviceTokensOf } from '../../engine/pg/notifications.ts';
import { countCandidates, readCandidates } from '../../engine/pg/waves.ts';
import { openWindow } from '../../engine/redis/scripts.ts';
import type { ChunkTask, WaveTask } from '../queues.ts';
import { alertPayload } from './apns/payload.ts';
import type { Outgoing, Sender } from './sender.ts';

/** Large enough to be cheap in the queue, small enough to be shared among workers. */
const CHUNK = 200;
/** Drivers between two looks at the job: what may still go out after a claim. */
const WINDOW = 50;
/** How long the marks outlive their last use. */
const LEDGER_TTL_S = 3600;
/** An offer is old news after this; Apple need not deliver it later. */
const OFFER_LIFE_MS = 10 * 60_000;
/** While somebody's claim is being decided nobody is pushed; it is decided within a second or so. */
const CLAIM_POLL_MS = 100;
const CLAIM_POLLS_MAX = 100;
/** Pushes that surely reached nobody are sent again, so often and after so long. */
const RESENDS_MAX = 3;
const RESEND_AFTER_MS = 1000;

export interface NearbyLane {
  /** Splits a wave into chunks. */
  wave(task: WaveTask): Promise<ChunkTask[]>;
  /** Pushes one chunk; returns a sentence for the dashboard. */
  chunk(task: ChunkTask, signal: AbortSignal): Promise<string>;
}

export function createNearbyLane(ctx: EngineContext, sender: Sender): NearbyLane {
  return {
    async wave({ job_id, wave }) {
      const count = await countCandidates(ctx.db, job_id, wave);
      const chunks: ChunkTask[] = [];
      for (let from = 0; from < count; from += CHUNK) {
        chunks.push({ job_id, wave, from, count: Math.min(CHUNK, count - from) });
      }
      return chunks;
    },

    async chunk({ job_id, wave, from, count }, signal) {
      const job = await findJob(ctx.db, job_id);
      if (!job) return 'no such job';
      const drivers = await readCandidates(ctx.db, job_id, wave, from, count);
      let pushed = 0;
      for (let i = 0; i < drivers.length; i += WINDOW) {
        signal.throwIfAborted();
        const fresh = await takeWindow(job, wave, drivers.slice(i, i + WINDOW));
        if (fresh === 'closed') return `${pushed} phones; the job was taken or closed meanwhile`;
        pushed += await pushWindow(job, wave, fresh, signal);
      }
      return `${pushed} phones of ${drivers.length} drivers`;
    },
  };

  /** Those of a window for whom no push was attempted yet, now marked. */
  async function takeWindow(
    job: JobRow,
    wave: number,
    drivers: readonly string[],
  ): Promise<string[] | 'closed'> {
    const zone = zoneOfJob(job.id) ?? '';
    for (let poll = 0; poll < CLAIM_POLLS_MAX; poll++) {
      const window = { zone, jobId: job.id, wave, drivers, ttlS: LEDGER_TTL_S };
      const answer = await openWindow(ctx.redis, window);
      if (answer.kind === 'closed') return 'closed';
      if (answer.kind === 'open') {
        const known = await attemptedDrivers(ctx.db, job.id, wave, answer.drivers);
        return answer.drivers.filter((id) => !known.has(id));
      }
      await sleep(CLAIM_POLL_MS);
    }
    throw new Error('a claim of this job is not being decided');
  }

  async function pushWindow(
    job: JobRow,
    wave: number,
    drivers: readonly string[],
    signal: AbortSignal,
  ): Promise<number> {
    if (drivers.length === 0) return 0;
    const payload = alertPayload({
      ...newJobAlert(job.address, job.totalPrice),
      data: { job_id: job.id, type: 'job:new', version: job.version },
    });
    const expiresAt = Math.min(ctx.now() + OFFER_LIFE_MS, job.expiresAt ?? Number.MAX_VALUE);
    let due = (await deviceTokensOf(ctx.db, 'driver', drivers)).map(
      (device): Outgoing => ({
        device,
        app: 'driver',
        jobId: job.id,
        wave,
        kind: 'new_job',
        notificationId: null,
        payload,
        expiresAt,
      }),
    );
    let phones = 0;
    for (let resend = 0; due.length > 0 && resend <= RESENDS_MAX; resend++) {
      if (signal.aborted) break;
      if (resend > 0) {
        await sleep(RESEND_AFTER_MS * resend);
        if ((await takeWindow(job, wave, [])) === 'closed') break;
      }
      const sent = await sender.send('nearby', due);
      phones += sent.filter((one) => one.outcome === 'sent').length;
      const again = new Set(sent.filter((one) => one.retry).map((one) => one.device.token));
      due = due.filter((one) => again.has(one.device.token));
    }
    return phones;
  }
}
