/**
 * The nearby lane: tells drivers in range that a wave has opened. A wave becomes chunks, a chunk
 * goes out in windows. Before each window a script is asked whether the job is still open, so that
 * a claim silences the rest; Postgres decides once for ever who may be pushed, so that a task that
 * runs again, or twice at once, pushes nobody twice, whatever Redis forgot.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { EngineContext } from '../../engine/context.ts';
import { isClaimable, type JobRow } from '../../engine/domain/job.ts';
import { newJobAlert } from '../../engine/domain/notices.ts';
import { type DeviceToken, deviceTokensOf } from '../../engine/pg/device-tokens.ts';
import { findJob } from '../../engine/pg/jobs.ts';
import { lastAttempts } from '../../engine/pg/push-attempts.ts';
import {
  countCandidates,
  listChunksDone,
  listNotOffered,
  markPushed,
  readCandidates,
} from '../../engine/pg/waves.ts';
import { inZone } from '../../engine/rebuild.ts';
import { checkOffer } from '../../engine/redis/job-scripts.ts';
import type { ChunkTask, WaveTask } from '../queues.ts';
import { alertPayload } from './apns/payload.ts';
import { isFinal } from './apns/reactions.ts';
import {
  isNeverAccepted,
  neverAccepted,
  PushAgain,
  restsUntil,
  type Waits,
  waitsFor,
} from './push-again.ts';
import { type Outgoing, type Sender, type Sent, suffixOf } from './sender.ts';

/** Large enough to be cheap in the queue, small enough to be shared among workers. */
const CHUNK = 200;
/** Phones between two looks at the job: what may still go out after a claim. */
const WINDOW = 50;
/** An offer is old news after this; Apple need not deliver it later. */
const OFFER_LIFE_MS = 10 * 60_000;
/** While somebody's claim is being decided nobody is pushed; it is decided within a second or so. */
const CLAIM_POLL_MS = 100;
/** A window takes less while Apple is well; else its job is looked at so often meanwhile. */
const OFFER_POLL_MS = 250;
const CLAIM_POLLS_MAX = 100;
/** A job is reserved once in a chunk's time; with more, Redis is behind the row: the task runs again later. */
const READS_MAX = 3;

export interface NearbyLane {
  /** Splits a wave into chunks; leaves out those that are done with. */
  wave(task: WaveTask): Promise<ChunkTask[]>;
  /**
   * Pushes one chunk; returns a sentence for the dashboard. Throws `PushAgain` when pushes that
   * surely reached nobody are to be sent again: the next run sends those and no others. What Apple
   * never accepts is done, and fails for good where an operator sees it.
   */
  chunk(task: ChunkTask, signal: AbortSignal): Promise<string>;
}

/** `reserved`: since the row was read, and for another driver. */
type Offer = 'open' | 'closed' | 'reserved';

interface ChunkResult {
  offer: Offer;
  /** How many took their push. */
  phones: number;
  /** What Apple never accepts. */
  never: Sent[];
}

export function createNearbyLane(ctx: EngineContext, sender: Sender): NearbyLane {
  return {
    async wave({ job_id, wave }) {
      const count = await countCandidates(ctx.db, job_id, wave);
      const done = await listChunksDone(ctx.db, job_id, wave);
      const chunks: ChunkTask[] = [];
      for (let from = 0; from < count; from += CHUNK) {
        if (done.has(from)) continue;
        chunks.push({ job_id, wave, from, count: Math.min(CHUNK, count - from) });
      }
      if (count === 0) await markPushed(ctx.db, job_id, wave, { from: null, chunks: 0 });
      return chunks;
    },

    async chunk(task, signal) {
      const { job_id, wave, from, count } = task;
      const candidates = await readCandidates(ctx.db, job_id, wave, from, count);
      const result = await pushTo(candidates, { jobId: job_id, wave }, signal);
      if (!result) return 'no such job';
      const chunks = Math.ceil((await countCandidates(ctx.db, job_id, wave)) / CHUNK);
      await markPushed(ctx.db, job_id, wave, { from, chunks });
      if (result.never.length > 0) throw neverAccepted('job offer', result.never);
      if (result.offer === 'closed') {
        return `${result.phones} phones; the job was taken or closed meanwhile`;
      }
      return `${result.phones} phones of ${candidates.length} drivers`;
    },
  };

  /** Pushes those to whom the job is offered by its row, which is read anew when it is reserved. */
  async function pushTo(
    candidates: readonly string[],
    { jobId, wave }: { jobId: string; wave: number },
    signal: AbortSignal,
  ): Promise<ChunkResult | null> {
    const before: ChunkResult = { offer: 'open', phones: 0, never: [] };
    for (let read = 0; read < READS_MAX; read++) {
      const job = await findJob(ctx.db, jobId);
      if (!job) return null;
      const reservedFor = reservedDriver(job);
      const drivers = candidates.filter((id) => reservedFor === null || id === reservedFor);
      const { due, waiting } = await duePushes(job, wave, drivers);
      const again = new PushAgain('job offer').add(waiting);
      const result = await pushAll(job, wave, { due, again }, signal);
      before.phones += result.phones;
      before.never.push(...result.never);
      if (result.offer !== 'reserved') return { ...before, offer: result.offer };
    }
    throw new Error('Redis and the row do not agree for whom this job is reserved');
  }

  async function pushAll(
    job: JobRow,
    wave: number,
    { due, again }: { due: readonly Outgoing[]; again: PushAgain },
    signal: AbortSignal,
  ): Promise<ChunkResult> {
    let phones = 0;
    const never: Sent[] = [];
    for (const window of windowsOf(due)) {
      signal.throwIfAborted();
      const offer = await offerOf(job, wave);
      if (offer !== 'open') return { offer, phones, never };
      const sent = await whileOffered(job, wave, (withdrawn) =>
        sender.send('nearby', window, withdrawn),
      );
      phones += sent.filter((one) => one.outcome === 'sent').length;
      again.add(sent.filter((one) => one.retry).map(waitsFor));
      never.push(...sent.filter(isNeverAccepted));
    }
    if (again.count === 0) return { offer: 'open', phones, never };
    const offer = await offerOf(job, wave);
    if (offer !== 'open') return { offer, phones, never };
    throw again;
  }

  /** The window's phones that still wait for a stream when the job is taken are not pushed. */
  async function whileOffered<T>(
    job: JobRow,
    wave: number,
    work: (withdrawn: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const offer = { zone: job.zone, jobId: job.id, wave, reservedFor: reservedDriver(job) };
    const withdrawn = new AbortController();
    const timer = setInterval(() => {
      checkOffer(ctx.redis, offer).then(
        (answer) => answer === 'closed' && withdrawn.abort(),
        () => {},
      );
    }, OFFER_POLL_MS);
    try {
      return await work(withdrawn.signal);
    } finally {
      clearInterval(timer);
    }
  }

  /** Once no claim is being decided. */
  async function offerOf(job: JobRow, wave: number): Promise<Offer> {
    const offer = { zone: job.zone, jobId: job.id, wave, reservedFor: reservedDriver(job) };
    for (let poll = 0; poll < CLAIM_POLLS_MAX; poll++) {
      const answer = await inZone(ctx, job.zone, () => checkOffer(ctx.redis, offer));
      if (answer === 'unknown') return offerOfRow(await findJob(ctx.db, job.id), job, wave);
      if (answer !== 'claiming') return answer;
      await sleep(CLAIM_POLL_MS);
    }
    throw new Error('a claim of this job is not being decided');
  }

  /** A job that is missing from its zone may be open all the same: a chunk is done with for ever. */
  function offerOfRow(row: JobRow | null, known: JobRow, wave: number): Offer {
    const inTime = row !== null && (row.expiresAt === null || row.expiresAt > ctx.now());
    if (!inTime || !isClaimable(row.status) || row.wave !== wave) return 'closed';
    const reservedFor = reservedDriver(row);
    return reservedFor !== null && reservedFor !== reservedDriver(known) ? 'reserved' : 'open';
  }

  /**
   * First pushes to drivers who had none in this wave, and others that surely reached nobody; to those
   * to whom the job is still offered. `waiting`: those whose phone is left alone for a while.
   */
  async function duePushes(
    job: JobRow,
    wave: number,
    candidates: readonly string[],
  ): Promise<{ due: Outgoing[]; waiting: Waits[] }> {
    const notOffered = await listNotOffered(ctx.db, job.id, candidates);
    const drivers = candidates.filter((id) => !notOffered.has(id));
    const payload = alertPayload({
      ...newJobAlert(job.address, job.totalPrice),
      data: { job_id: job.id, type: 'job:new', version: job.version },
    });
    const expiresAt = Math.min(ctx.now() + OFFER_LIFE_MS, job.expiresAt ?? Number.MAX_VALUE);
    const devices = await deviceTokensOf(ctx.db, 'driver', drivers);
    const before = Map.groupBy(
      await lastAttempts(ctx.db, job.id, wave, drivers),
      (attempt) => attempt.userId,
    );
    const place = new Map(drivers.map((id, i) => [id, i]));
    const placeOf = ({ userId }: DeviceToken) => place.get(userId) ?? 0;
    const waiting: Waits[] = [];
    const due = devices
      .sort((a, b) => placeOf(a) - placeOf(b))
      .flatMap((device): Outgoing[] => {
        const own = before.get(device.userId);
        const failed = own?.find(
          ({ tokenSuffix, outcome, status, reason }) =>
            tokenSuffix === suffixOf(device.token) &&
            (outcome === 'never_processed' ||
              (outcome === 'rejected' && !isFinal(status ?? 0, reason ?? '', 'nearby'))),
        );
        if (own && !failed) return [];
        const inMs = failed ? restsUntil([failed]) - ctx.now() : 0;
        if (failed && inMs > 0) {
          waiting.push({ why: failed.reason ?? failed.outcome, inMs });
          return [];
        }
        const push: Outgoing = {
          device,
          app: 'driver',
          jobId: job.id,
          wave,
          kind: 'new_job',
          notificationId: null,
          payload,
          expiresAt,
        };
        return [failed ? { ...push, resendOf: failed.apnsId } : push];
      });
    return { due, waiting };
  }
}

/** Who alone may take the job, while it is reserved. */
function reservedDriver(job: JobRow): string | null {
  return job.status === 'assigned' ? job.driverId : null;
}

/** All phones of a driver are in one window: they are recorded together or not at all. */
function windowsOf(pushes: readonly Outgoing[]): Outgoing[][] {
  const windows: Outgoing[][] = [];
  for (const own of Map.groupBy(pushes, (push) => push.device.userId).values()) {
    const last = windows.at(-1);
    if (last && last.length + own.length <= WINDOW) last.push(...own);
    else windows.push(own);
  }
  return windows;
}
