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
import { findJob } from '../../engine/pg/jobs.ts';
import { attemptedDrivers, deviceTokensOf } from '../../engine/pg/notifications.ts';
import { countCandidates, readCandidates } from '../../engine/pg/waves.ts';
import { inZone } from '../../engine/rebuild.ts';
import { keys } from '../../engine/redis/keys.ts';
import { openWindow, type WindowAnswer } from '../../engine/redis/scripts.ts';
import type { ChunkTask, WaveTask } from '../queues.ts';
import { alertPayload } from './apns/payload.ts';
import type { Outgoing, Sender } from './sender.ts';

/** Large enough to be cheap in the queue, small enough to be shared among workers. */
const CHUNK = 200;
/** Drivers, and then phones, between two looks at the job: what may still go out after a claim. */
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

type DecidedWindow = Exclude<WindowAnswer, { kind: 'not_ready' }>;

/** A job in a wave, as one run of a chunk offers it. */
interface Offer {
  job: JobRow;
  wave: number;
  signal: AbortSignal;
}
interface WindowResult {
  phones: number;
  /** The job was taken or closed meanwhile. */
  closed: boolean;
}

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
        const sent = await pushWindow({ job, wave, signal }, drivers.slice(i, i + WINDOW));
        pushed += sent.phones;
        if (sent.closed) return `${pushed} phones; the job was taken or closed meanwhile`;
      }
      return `${pushed} phones of ${drivers.length} drivers`;
    },
  };

  /** Marks drivers and pushes those not pushed before; on a failure the marks are taken back. */
  async function pushWindow(offer: Offer, drivers: readonly string[]): Promise<WindowResult> {
    const marked = await markWhenDecided(offer, drivers);
    if (marked === 'closed') return { phones: 0, closed: true };
    try {
      const { job, wave } = offer;
      const known = await attemptedDrivers(ctx.db, job.id, wave, marked);
      const fresh = marked.filter((id) => !known.has(id));
      return await pushPhones(offer, await pushesTo(offer, fresh));
    } catch (error) {
      // Who was sent anything is on record before it is sent, and left out by the next run.
      await unmark(offer, marked);
      throw error;
    }
  }

  /** Marks drivers and returns those not marked before, once no claim is being decided. */
  async function markWhenDecided(
    { job, wave }: Offer,
    drivers: readonly string[],
  ): Promise<string[] | 'closed'> {
    const window = { zone: job.zone, jobId: job.id, wave, drivers, ttlS: LEDGER_TTL_S };
    for (let poll = 0; poll < CLAIM_POLLS_MAX; poll++) {
      const answer = await inZone<DecidedWindow>(ctx, job.zone, async () => {
        const said = await openWindow(ctx.redis, window);
        return said.kind === 'not_ready' ? 'not_ready' : said;
      });
      if (answer.kind === 'closed') return 'closed';
      if (answer.kind === 'open') return answer.drivers;
      await sleep(CLAIM_POLL_MS);
    }
    throw new Error('a claim of this job is not being decided');
  }

  async function unmark({ job, wave }: Offer, drivers: readonly string[]): Promise<void> {
    if (drivers.length === 0) return;
    // Without Redis the marks stay, or are gone with it: nobody is pushed twice either way.
    await ctx.redis.srem(keys.pushed(job.zone, job.id, wave), ...drivers).catch(() => {});
  }

  /** A driver may have several phones: still no more than a window of them in flight. */
  async function pushPhones(offer: Offer, pushes: readonly Outgoing[]): Promise<WindowResult> {
    let phones = 0;
    for (let i = 0; i < pushes.length; i += WINDOW) {
      if (i > 0) offer.signal.throwIfAborted();
      if (i > 0 && !(await isOpen(offer))) return { phones, closed: true };
      phones += await sendWithResends(offer, pushes.slice(i, i + WINDOW));
    }
    return { phones, closed: false };
  }

  /** Sends; what surely reached nobody is sent again while that makes sense. */
  async function sendWithResends(offer: Offer, pushes: readonly Outgoing[]): Promise<number> {
    let due = pushes;
    let phones = 0;
    for (let resend = 0; ; resend++) {
      const sent = await sender.send('nearby', due);
      phones += sent.filter((one) => one.outcome === 'sent').length;
      const again = new Set(sent.filter((one) => one.retry).map((one) => one.device.token));
      due = due.filter((one) => again.has(one.device.token));
      if (due.length === 0 || resend === RESENDS_MAX || offer.signal.aborted) return phones;
      await sleep(RESEND_AFTER_MS * (resend + 1));
      if (!(await isOpen(offer))) return phones;
    }
  }

  async function isOpen(offer: Offer): Promise<boolean> {
    return (await markWhenDecided(offer, [])) !== 'closed';
  }

  async function pushesTo({ job, wave }: Offer, drivers: readonly string[]): Promise<Outgoing[]> {
    const payload = alertPayload({
      ...newJobAlert(job.address, job.totalPrice),
      data: { job_id: job.id, type: 'job:new', version: job.version },
    });
    const expiresAt = Math.min(ctx.now() + OFFER_LIFE_MS, job.expiresAt ?? Number.MAX_VALUE);
    const devices = drivers.length > 0 ? await deviceTokensOf(ctx.db, 'driver', drivers) : [];
    return devices.map((device) => ({
      device,
      app: 'driver',
      jobId: job.id,
      wave,
      kind: 'new_job',
      notificationId: null,
      payload,
      expiresAt,
    }));
  }
}
