/**
 * The critical lane: one notification to every phone of its user. It is done when the outcome is on
 * record, or when there is no phone; else the reconciler hands it over again. What reached Apple is
 * not sent again; what may have is repeated once, under the same collapse id, so that the phone
 * shows it once.
 */
import type { EngineContext } from '../../engine/context.ts';
import {
  type AttemptRow,
  type DeviceToken,
  deviceTokensOf,
  findNotification,
  listAttempts,
  markDone,
  type NotificationRow,
} from '../../engine/pg/notifications.ts';
import type { NotificationTask } from '../queues.ts';
import { alertPayload } from './apns/payload.ts';
import { type Sender, suffixOf } from './sender.ts';

/** Who is coming is worth knowing for an hour; later the app shows it anyway. */
const NOTICE_LIFE_MS = 3_600_000;
/** The first, and one more when its outcome is unknown. */
const UNKNOWN_MAX = 2;

export interface CriticalLane {
  /**
   * Returns a sentence for the dashboard. Throws when a push is to be tried again later, and says
   * why; what is older than `NOTICE_LIFE_MS` is done with the outcome that it has.
   */
  notify(task: NotificationTask): Promise<string>;
}

export function createCriticalLane(ctx: EngineContext, sender: Sender): CriticalLane {
  return {
    async notify({ notification_id }) {
      const note = await findNotification(ctx.db, notification_id);
      if (!note) return 'no such notification';
      if (note.doneAt !== null) return 'was done before';
      const what = `${note.type} to ${note.app} ${note.userId}`;
      const devices = await deviceTokensOf(ctx.db, note.app, [note.userId]);
      const expiresAt = note.createdAt + NOTICE_LIFE_MS;
      const late = expiresAt <= ctx.now();
      const failed = late ? [] : await push(note, devices, expiresAt);
      if (failed.length > 0) throw new Error(`${what}: ${failed.join(', ')}`);
      await markDone(ctx.db, note.id);
      return late ? `${what}: too late to be sent` : `${what}: ${devices.length} phones`;
    },
  };

  /** Sends to those phones that need it; returns why some must be tried again. */
  async function push(
    note: NotificationRow,
    devices: readonly DeviceToken[],
    expiresAt: number,
  ): Promise<string[]> {
    const payload = alertPayload({ title: note.title, body: note.body, data: note.data });
    let before = await listAttempts(ctx.db, { notificationId: note.id });
    for (;;) {
      const due = devices.filter((device) => needsPush(device, before));
      if (due.length === 0) return [];
      const sent = await sender.send(
        'critical',
        due.map((device) => ({
          device,
          app: note.app,
          jobId: note.jobId,
          wave: 0,
          kind: note.type,
          notificationId: note.id,
          payload,
          expiresAt,
        })),
      );
      const again = sent.filter((one) => one.retry);
      if (again.length > 0) return again.map((one) => one.reason ?? one.outcome);
      before = await listAttempts(ctx.db, { notificationId: note.id });
    }
  }
}

/** Not yet tried, surely not processed, or unknown for the first time. */
function needsPush(device: DeviceToken, before: readonly AttemptRow[]): boolean {
  const own = before.filter((attempt) => attempt.tokenSuffix === suffixOf(device.token));
  if (own.some((attempt) => isFinal(attempt))) return false;
  return own.filter((attempt) => attempt.outcome === 'unknown').length < UNKNOWN_MAX;
}

function isFinal(attempt: AttemptRow): boolean {
  if (attempt.outcome === 'sent' || attempt.outcome === 'not_sent') return true;
  return attempt.outcome === 'rejected' && attempt.status !== null && attempt.status < 429;
}
