/** Enqueues waves and notifications again whose push was never enqueued, or is not done. */
import type { EngineContext } from '../context.ts';
import { dispatchWave } from '../jobs/dispatch.ts';
import { findJob } from '../pg/jobs.ts';
import { takeUndone } from '../pg/notifications.ts';
import { listUndispatched, takeUnpushed } from '../pg/waves.ts';
import { type Duty, forEach } from './duty.ts';

const EVERY_MS = 1000;
const BATCH = 200;
/** Younger ones are still in the hands of the process that caused them. */
const DISPATCH_GRACE_MS = 2000;
const NOTIFICATION_GRACE_MS = 5000;
/** A wave of thousands takes this long to push; a second task for it does no harm. */
const PUSH_GRACE_MS = 10_000;

export function dispatchDuty(ctx: EngineContext): Duty {
  return {
    name: 'wave_dispatched',
    everyMs: EVERY_MS,
    async run(signal) {
      const waves = await listUndispatched(ctx.db, DISPATCH_GRACE_MS, BATCH);
      return forEach(waves, signal, async ({ jobId }) => {
        const row = await findJob(ctx.db, jobId);
        if (row) await dispatchWave(ctx, row);
      });
    },
  };
}

export function wavePushDuty({ db, push }: EngineContext): Duty {
  return {
    name: 'wave_enqueued',
    everyMs: EVERY_MS,
    async run(signal) {
      const waves = await takeUnpushed(db, PUSH_GRACE_MS, BATCH);
      return forEach(waves, signal, ({ jobId, wave }) => push.enqueueWave(jobId, wave));
    },
  };
}

export function notificationDuty({ db, push }: EngineContext): Duty {
  return {
    name: 'notification_enqueued',
    everyMs: EVERY_MS,
    async run() {
      const ids = await takeUndone(db, NOTIFICATION_GRACE_MS, BATCH);
      return push.enqueueNotifications(ids.map((id) => ({ id })));
    },
  };
}
