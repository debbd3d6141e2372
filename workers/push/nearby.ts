/**
 * The nearby lane: tells drivers in range that a wave has opened. A wave is one task and goes out in
 * windows. Before each a script is asked whether the job is still open, so that a claim silences the
 * rest; Postgres decides once for ever who may be pushed, so that a task that runs again, or twice at
 * once, pushes nobody twice, whatever Redis forgot.
 */
import type { JobRow } from '../../engine/domain/job.ts';
import { newJobAlert } from '../../engine/domain/notifications.ts';
import type { PushOutcome } from '../../engine/domain/push.ts';
import {
  type Engine,
  type Offer,
  onceDecided,
  type PushRecord,
  reservedDriver,
} from '../../engine/engine.ts';
import type { WaveTask } from '../queues.ts';
import { alertPayload } from './apns/payload.ts';
import { dueIn, portionsOf } from './due.ts';
import { createInFlight } from './in-flight.ts';
import { isNeverAccepted, neverAccepted, PushAgain, waitsFor } from './push-again.ts';
import type { Push, Receiver, Sender, Sent } from './sender.ts';

/** What may still go out after a claim: "at most 200 a worker" (contract section 6). */
const IN_FLIGHT_MAX = 200;
/** Of all waves: two are on their way, one is read and one recorded meanwhile; more busies the stores. */
const WINDOWS_AT_ONCE = 4;
/** An offer is old news after this; Apple need not deliver it later. */
const OFFER_LIFE_MS = 10 * 60_000;
/**
 * A job is reserved once in a window's time, and seldom do two runs meet; with more, Redis is behind the row:
 * the task runs again later.
 */
const READS_MAX = 3;

export interface NearbyLane {
  /**
   * Pushes a wave; returns a sentence for the dashboard. Throws `PushAgain` when pushes that surely
   * reached nobody are to be sent again: the next run sends those and no others. What Apple never accepts
   * is done, and fails for good where an operator sees it.
   */
  push(task: WaveTask, signal: AbortSignal): Promise<string>;
}

/** A wave under way. */
interface Run {
  /** As it was read last. */
  job: JobRow;
  wave: number;
  signal: AbortSignal;
  closed: boolean;
  outcomes: Map<PushOutcome, number>;
  again: PushAgain;
  /** What Apple never accepts. */
  never: Sent[];
}

/** Windows are read side by side; they ask for room nearest first, however long each read takes. */
interface Turn {
  nearerAsked: Promise<void>;
  ask(): void;
}

export function createNearbyLane(
  { pushes, now }: Pick<Engine, 'pushes' | 'now'>,
  sender: Sender,
): NearbyLane {
  const { offers } = pushes;
  const inFlight = createInFlight(IN_FLIGHT_MAX);
  const slots = createInFlight(WINDOWS_AT_ONCE);
  return {
    async push({ job_id, wave }, signal) {
      const job = await pushes.jobOf(job_id);
      const opened = job && (await pushes.openWave(job_id, wave));
      if (!opened) return 'no such wave';
      const run: Run = {
        ...{ job, wave, signal },
        closed: offers.byRow(job, wave) === 'closed',
        outcomes: new Map([['sent', 0]]),
        again: new PushAgain('job offer'),
        never: [],
      };
      await pushWindows(run, opened.windows);
      if (run.again.count > 0 && !run.closed) {
        const look = async () => ({ offer: await offers.look(run.job, wave) });
        const { offer } = await onceDecided(look);
        run.closed = offer === 'closed';
        if (!run.closed) throw run.again;
      }
      await pushes.markPushed(job_id, wave);
      if (run.never.length > 0) throw neverAccepted('job offer', run.never);
      return sentenceOf(run, opened.candidates);
    },
  };

  /** After an error, those that are under way are waited for and no other is begun. */
  async function pushWindows(run: Run, windows: readonly number[]): Promise<void> {
    const left = windows.values();
    let failed = false;
    let asked: Promise<void> = Promise.resolve();
    const pushSome = async () => {
      for (const firstPlace of left) {
        if (run.closed || failed) return;
        const own = Promise.withResolvers<void>();
        const turn: Turn = { nearerAsked: asked, ask: own.resolve };
        asked = own.promise;
        await slots.within(1, () => pushWindow(run, firstPlace, turn).finally(own.resolve));
      }
    };
    const ends = await Promise.allSettled(
      Array.from({ length: WINDOWS_AT_ONCE }, () =>
        pushSome().catch((error: unknown) => {
          failed = true;
          throw error;
        }),
      ),
    );
    const end = ends.find(({ status }) => status === 'rejected');
    if (end?.status === 'rejected') throw end.reason;
  }

  /** Pushes those to whom the job is offered by its row, which is read anew when it is reserved. */
  async function pushWindow(run: Run, firstPlace: number, turn: Turn): Promise<void> {
    for (let read = 0; read < READS_MAX && !run.closed; read++) {
      const { job, wave } = run;
      const { phones, record } = await pushes.window(job.id, wave, firstPlace);
      const reservedFor = reservedDriver(job);
      const { due, waiting } = dueIn(
        record.attempts,
        phones.filter(({ userId }) => reservedFor === null || userId === reservedFor),
        now(),
      );
      const end = await pushPortions(run, job, record, due, turn);
      if (end === 'open') {
        run.again.add(waiting);
        return;
      }
      const row = end === 'reserved' ? await pushes.jobOf(job.id) : job;
      if (row) run.job = row;
      run.closed ||= end === 'closed' || !row || offers.byRow(row, wave) === 'closed';
    }
    if (!run.closed) throw new Error('this window changes whenever it is read');
  }

  /** `changed`: another run has pushed some of them. */
  async function pushPortions(
    run: Run,
    job: JobRow,
    record: PushRecord,
    due: readonly Receiver[],
    turn: Turn,
  ): Promise<Offer | 'changed'> {
    const { wave, signal } = run;
    const push = offerPush(job);
    for (const portion of portionsOf(due)) {
      await turn.nearerAsked;
      const pushed = onceDecided(() =>
        inFlight.within(portion.length, async (settled) => {
          signal.throwIfAborted();
          const offer = await offers.look(job, wave);
          if (offer !== 'open') return { offer, sent: null };
          const sent = await offers.whileOpen(job, wave, (withdrawn) =>
            sender.send(push, record, portion, { withdrawn, settled }),
          );
          return { offer, sent };
        }),
      );
      turn.ask();
      const { offer, sent } = await pushed;
      if (offer !== 'open') return offer;
      if (!sent) return 'changed';
      for (const { outcome } of sent) {
        run.outcomes.set(outcome, (run.outcomes.get(outcome) ?? 0) + 1);
      }
      run.again.add(sent.filter((one) => one.retry).map(waitsFor));
      run.never.push(...sent.filter(isNeverAccepted));
    }
    return 'open';
  }

  function offerPush(job: JobRow): Push {
    return {
      ...{ lane: 'nearby', app: 'driver', jobId: job.id, kind: 'new_job' },
      payload: alertPayload({
        ...newJobAlert(job.address, job.totalPrice),
        data: { job_id: job.id, type: 'job:new', version: job.version },
      }),
      expiresAt: Math.min(now() + OFFER_LIFE_MS, job.expiresAt ?? Number.MAX_VALUE),
    };
  }
}

/** For the dashboard, e.g. `job 8a…, wave 1, 500 drivers: 480 sent, 3 rejected`. */
function sentenceOf({ job, wave, outcomes, closed }: Run, candidates: number): string {
  const counts = [...outcomes].map(([outcome, count]) => `${count} ${outcome}`);
  const end = closed ? '; the job was taken or closed meanwhile' : '';
  return `job ${job.id}, wave ${wave}, ${candidates} drivers: ${counts.join(', ')}${end}`;
}
