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
import { findJob } from '../../engine/pg/jobs.ts';
import { type AttemptRow, lastAttempts } from '../../engine/pg/push-attempts.ts';
import {
  countCandidates,
  listChunksDone,
  listWavePhones,
  markPushed,
  type WavePhone,
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
import { type Push, type Receiver, type Sender, type Sent, suffixOf } from './sender.ts';

/** Drivers of a task: enough to be cheap in the queue, few enough to be shared among workers. */
const CHUNK = 250;
/** Phones between two looks at the job: what may still go out after a claim, for each task that runs. */
const WINDOW = 100;
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
      if (count === 0) await markPushed(ctx.db, job_id, wave, { from: null, chunkSize: CHUNK });
      return chunks;
    },

    async chunk(task, signal) {
      const { job_id, wave, from, count } = task;
      const result = await pushTo(task, signal);
      if (!result) return 'no such job';
      await markPushed(ctx.db, job_id, wave, { from, chunkSize: CHUNK });
      if (result.never.length > 0) throw neverAccepted('job offer', result.never);
      if (result.offer === 'closed') {
        return `${result.phones} phones; the job was taken or closed meanwhile`;
      }
      return `${result.phones} phones of ${count} drivers`;
    },
  };

  /** Pushes those to whom the job is offered by its row, which is read anew when it is reserved. */
  async function pushTo(
    { job_id, wave, from, count }: ChunkTask,
    signal: AbortSignal,
  ): Promise<ChunkResult | null> {
    const before: ChunkResult = { offer: 'open', phones: 0, never: [] };
    for (let read = 0; read < READS_MAX; read++) {
      const job = await findJob(ctx.db, job_id);
      if (!job) return null;
      const phones = await listWavePhones(ctx.db, job_id, wave, { from, count });
      const reservedFor = reservedDriver(job);
      const { due, waiting } = await dueReceivers(
        job,
        wave,
        phones.filter(({ userId }) => reservedFor === null || userId === reservedFor),
      );
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
    { due, again }: { due: readonly Receiver[]; again: PushAgain },
    signal: AbortSignal,
  ): Promise<ChunkResult> {
    const push = offerPush(job, wave);
    let phones = 0;
    const never: Sent[] = [];
    for (const window of windowsOf(due)) {
      signal.throwIfAborted();
      const offer = await offerOf(job, wave);
      if (offer !== 'open') return { offer, phones, never };
      const sent = await whileOffered(job, wave, (withdrawn) =>
        sender.send(push, window, withdrawn),
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

  function offerPush(job: JobRow, wave: number): Push {
    return {
      ...{ lane: 'nearby', app: 'driver', jobId: job.id, wave, kind: 'new_job' },
      notificationId: null,
      payload: alertPayload({
        ...newJobAlert(job.address, job.totalPrice),
        data: { job_id: job.id, type: 'job:new', version: job.version },
      }),
      expiresAt: Math.min(ctx.now() + OFFER_LIFE_MS, job.expiresAt ?? Number.MAX_VALUE),
    };
  }

  /**
   * Phones of drivers who had no push in this wave, and those that it surely did not reach. `waiting`:
   * those that are left alone for a while.
   */
  async function dueReceivers(
    job: JobRow,
    wave: number,
    phones: readonly WavePhone[],
  ): Promise<{ due: Receiver[]; waiting: Waits[] }> {
    const pushed = new Set(phones.filter((phone) => phone.pushed).map(({ userId }) => userId));
    const attempts = pushed.size > 0 ? await lastAttempts(ctx.db, job.id, wave, [...pushed]) : [];
    const before = Map.groupBy(attempts, ({ userId }) => userId);
    const waiting: Waits[] = [];
    const due = phones.flatMap((device): Receiver[] => {
      if (!device.pushed) return [{ device }];
      const failed = before
        .get(device.userId)
        ?.find(
          (attempt) => attempt.tokenSuffix === suffixOf(device.token) && reachedNobody(attempt),
        );
      if (!failed) return [];
      const inMs = restsUntil([failed]) - ctx.now();
      if (inMs <= 0) return [{ device, resendOf: failed.apnsId }];
      waiting.push({ why: failed.reason ?? failed.outcome, inMs });
      return [];
    });
    return { due, waiting };
  }
}

function reachedNobody({ outcome, status, reason }: AttemptRow): boolean {
  if (outcome === 'rejected') return !isFinal(status ?? 0, reason ?? '', 'nearby');
  return outcome === 'never_processed';
}

/** Who alone may take the job, while it is reserved. */
function reservedDriver(job: JobRow): string | null {
  return job.status === 'assigned' ? job.driverId : null;
}

/** All phones of a driver are in one window: they are recorded together or not at all. */
function windowsOf(receivers: readonly Receiver[]): Receiver[][] {
  const windows: Receiver[][] = [];
  for (const own of Map.groupBy(receivers, ({ device }) => device.userId).values()) {
    const last = windows.at(-1);
    if (last && last.length + own.length <= WINDOW) last.push(...own);
    else windows.push(own);
  }
  return windows;
}
