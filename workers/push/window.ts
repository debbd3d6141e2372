/**
 * One window of a wave: its phones are pushed portion by portion; the job is checked before each portion, so
 * that a claim silences the rest.
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
import { alertPayload } from './apns/payload.ts';
import { dueIn, portionsOf } from './due.ts';
import { createInFlight } from './in-flight.ts';
import type { Turn } from './in-turns.ts';
import { isNeverAccepted, type PushAgain, waitsFor } from './push-again.ts';
import type { Push, Receiver, Sender, Sent } from './sender.ts';

/** Pushes that may still go out after a claim: "at most 200 a worker" (contract section 6). */
const IN_FLIGHT_MAX = 200;
/** An offer is old news after this; Apple need not deliver it later. */
const OFFER_LIFE_MS = 10 * 60_000;
/**
 * A job is reserved at most once in a window's time, and two runs seldom meet; after more rounds Redis must be
 * behind the row, and the task runs again later.
 */
const READS_MAX = 3;

/** A wave under way. */
export interface Run {
  /** The job as it was last read. */
  job: JobRow;
  wave: number;
  signal: AbortSignal;
  closed: boolean;
  outcomes: Map<PushOutcome, number>;
  again: PushAgain;
  /** Pushes that Apple never accepts. */
  never: Sent[];
}

/** Pushes the window that begins at a place, and notes the outcomes in the run. */
export type PushWindow = (run: Run, firstPlace: number, turn: Turn) => Promise<void>;

export function createPushWindow(
  { pushes, now }: Pick<Engine, 'pushes' | 'now'>,
  sender: Sender,
): PushWindow {
  const { offers } = pushes;
  const inFlight = createInFlight(IN_FLIGHT_MAX);

  /** Pushes drivers to whom the row offers the job; the row is read anew when the job gets reserved. */
  return async (run, firstPlace, turn) => {
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
  };

  /** `changed`: another run has pushed some of them. */
  async function pushPortions(
    run: Run,
    job: JobRow,
    record: PushRecord,
    due: readonly Receiver[],
    turn: Turn,
  ): Promise<Offer | 'changed'> {
    const { wave, signal } = run;
    const push = offerPush(job, now());
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
      note(run, sent);
    }
    return 'open';
  }
}

function note({ outcomes, again, never }: Run, sent: readonly Sent[]): void {
  for (const { outcome } of sent) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  again.add(sent.filter((one) => one.retry).map(waitsFor));
  never.push(...sent.filter(isNeverAccepted));
}

function offerPush(job: JobRow, now: number): Push {
  return {
    ...{ lane: 'nearby', app: 'driver', jobId: job.id, kind: 'new_job' },
    payload: alertPayload({
      ...newJobAlert(job.address, job.totalPrice),
      data: { job_id: job.id, type: 'job:new', version: job.version },
    }),
    expiresAt: Math.min(now + OFFER_LIFE_MS, job.expiresAt ?? Number.MAX_VALUE),
  };
}
