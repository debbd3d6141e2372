/**
 * The nearby lane: tells drivers in range that a wave has opened. A wave is one task and goes out in
 * windows. Before each a script checks that the job is still open, so that a claim silences the rest.
 * Postgres decides once and for all who may be pushed, so that a task that runs again, or twice at
 * once, pushes nobody twice, whatever Redis forgot.
 */
import { type Engine, onceDecided } from '../../engine/engine.ts';
import type { WaveTask } from '../queues.ts';
import { createInFlight } from './in-flight.ts';
import { inTurns } from './in-turns.ts';
import { neverAccepted, PushAgain } from './push-again.ts';
import type { Sender } from './sender.ts';
import { createPushWindow, type Run } from './window.ts';

/** Windows of all waves: two are being sent, one read and one recorded; more keep the stores too busy. */
const WINDOWS_AT_ONCE = 4;

export interface NearbyLane {
  /**
   * Pushes a wave; returns a sentence for the dashboard. Throws `PushAgain` when pushes that certainly
   * reached nobody must be sent again: the next run sends only those. A push that Apple never accepts is
   * done, and the task fails for good where an operator sees it.
   */
  push(task: WaveTask, signal: AbortSignal): Promise<string>;
}

export function createNearbyLane(
  engine: Pick<Engine, 'pushes' | 'now'>,
  sender: Sender,
): NearbyLane {
  const { pushes } = engine;
  const { offers } = pushes;
  const pushWindow = createPushWindow(engine, sender);
  const room = { slots: createInFlight(WINDOWS_AT_ONCE), atOnce: WINDOWS_AT_ONCE };
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
      await inTurns(opened.windows, room, (window, turn) => pushWindow(run, window, turn));
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
}

/** For the dashboard, e.g. `job 8a…, wave 1, 500 drivers: 480 sent, 3 rejected`. */
function sentenceOf({ job, wave, outcomes, closed }: Run, candidates: number): string {
  const counts = [...outcomes].map(([outcome, count]) => `${count} ${outcome}`);
  const end = closed ? '; the job was taken or closed meanwhile' : '';
  return `job ${job.id}, wave ${wave}, ${candidates} drivers: ${counts.join(', ')}${end}`;
}
