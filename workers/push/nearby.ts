/**
 * The nearby lane: tells drivers in range that a wave has opened. A wave becomes chunks, a chunk
 * goes out in windows. Before each window a script is asked whether the job is still open, so that
 * a claim silences the rest; Postgres decides once for ever who may be pushed, so that a task that
 * runs again, or twice at once, pushes nobody twice, whatever Redis forgot.
 */
import type { JobRow } from '../../engine/domain/job.ts';
import { newJobAlert } from '../../engine/domain/notifications.ts';
import { type AttemptRow, suffixOf } from '../../engine/domain/push.ts';
import {
  type Engine,
  type Offer,
  onceDecided,
  reservedDriver,
  type WavePhone,
} from '../../engine/engine.ts';
import type { ChunkTask, WaveTask } from '../queues.ts';
import { alertPayload } from './apns/payload.ts';
import { isFinal } from './apns/reactions.ts';
import { createInFlight } from './in-flight.ts';
import {
  IN_FLIGHT_MS,
  isNeverAccepted,
  neverAccepted,
  PushAgain,
  restsUntil,
  type Waits,
  waitsFor,
} from './push-again.ts';
import type { Push, Receiver, Sender, Sent } from './sender.ts';

/** Drivers of a task: enough to be cheap in the queue, few enough to be shared among workers. */
const CHUNK = 250;
/** Phones between two looks at the job: enough to be cheap for the stores. */
const WINDOW = 100;
/** What may still go out after a claim: "at most 200 a worker" (contract section 6). */
const IN_FLIGHT_MAX = 200;
/** An offer is old news after this; Apple need not deliver it later. */
const OFFER_LIFE_MS = 10 * 60_000;
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

interface ChunkResult {
  offer: Offer;
  /** How many took their push. */
  phones: number;
  /** What Apple never accepts. */
  never: Sent[];
}

export function createNearbyLane(
  { pushes, now }: Pick<Engine, 'pushes' | 'now'>,
  sender: Sender,
): NearbyLane {
  const { offers } = pushes;
  const inFlight = createInFlight(IN_FLIGHT_MAX);
  return {
    async wave({ job_id, wave }) {
      const count = await pushes.countCandidates(job_id, wave);
      const done = await pushes.chunksDone(job_id, wave);
      const chunks: ChunkTask[] = [];
      for (let from = 0; from < count; from += CHUNK) {
        if (done.has(from)) continue;
        chunks.push({ job_id, wave, from, count: Math.min(CHUNK, count - from) });
      }
      if (chunks.length === 0) {
        await pushes.markPushed(job_id, wave, { from: null, chunkSize: CHUNK });
      }
      return chunks;
    },

    async chunk(task, signal) {
      const { job_id, wave, from, count } = task;
      const result = await pushTo(task, signal);
      if (!result) return 'no such job';
      await pushes.markPushed(job_id, wave, { from, chunkSize: CHUNK });
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
      const job = await pushes.jobOf(job_id);
      if (!job) return null;
      if (offers.byRow(job, wave) === 'closed') return { ...before, offer: 'closed' };
      const phones = await pushes.phonesOf(job_id, wave, { from, count });
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
      const { offer, sent } = await onceDecided(() =>
        inFlight.within(window.length, async (settled) => {
          signal.throwIfAborted();
          const offer = await offers.look(job, wave);
          if (offer !== 'open') return { offer, sent: [] };
          const sent = await offers.whileOpen(job, wave, (withdrawn) =>
            sender.send(push, window, { withdrawn, settled }),
          );
          return { offer, sent };
        }),
      );
      if (offer !== 'open') return { offer, phones, never };
      phones += sent.filter((one) => one.outcome === 'sent').length;
      again.add(sent.filter((one) => one.retry).map(waitsFor));
      never.push(...sent.filter(isNeverAccepted));
    }
    if (again.count === 0) return { offer: 'open', phones, never };
    const { offer } = await onceDecided(async () => ({ offer: await offers.look(job, wave) }));
    if (offer !== 'open') return { offer, phones, never };
    throw again;
  }

  function offerPush(job: JobRow, wave: number): Push {
    return {
      ...{ lane: 'nearby', app: 'driver', jobId: job.id, wave, kind: 'new_job' },
      notificationId: null,
      payload: alertPayload({
        ...newJobAlert(job.address, job.totalPrice),
        data: { job_id: job.id, type: 'job:new', version: job.version },
      }),
      expiresAt: Math.min(now() + OFFER_LIFE_MS, job.expiresAt ?? Number.MAX_VALUE),
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
    const attempts = pushed.size > 0 ? await pushes.lastAttempts(job.id, wave, [...pushed]) : [];
    const before = Map.groupBy(attempts, ({ userId }) => userId);
    const waiting: Waits[] = [];
    const due = phones.flatMap((device): Receiver[] => {
      if (!device.pushed) return [{ device }];
      const own = before
        .get(device.userId)
        ?.find(({ tokenSuffix }) => tokenSuffix === suffixOf(device.token));
      if (!own) return [];
      const failed = reachedNobody(own);
      // Another run's, in flight: it may still come back as one that reached nobody.
      const inFlight = own.outcome === 'unknown' && own.reason === null;
      const inMs = (failed ? restsUntil([own]) : own.at + IN_FLIGHT_MS) - now();
      if (failed && inMs <= 0) return [{ device, resendOf: own.apnsId }];
      if (inMs > 0 && (failed || inFlight)) waiting.push({ why: own.reason ?? own.outcome, inMs });
      return [];
    });
    return { due, waiting };
  }
}

function reachedNobody({ outcome, status, reason }: AttemptRow): boolean {
  if (outcome === 'rejected') return !isFinal(status ?? 0, reason ?? '', 'nearby');
  return outcome === 'never_processed';
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
