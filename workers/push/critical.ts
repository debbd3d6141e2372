/**
 * The critical lane: one notification to every phone of its user. It is done when the outcome is on
 * record, or when there is no phone; else the reconciler hands it over again. What reached Apple is
 * not sent again; what may have is repeated once, under the same collapse id, so that the phone shows
 * it once.
 */
import { UnrecoverableError } from 'bullmq';
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
import { isFinal, reactionTo } from './apns/reactions.ts';
import { PushAgain } from './push-again.ts';
import { type Sender, type Sent, suffixOf } from './sender.ts';

/** Who is coming is worth knowing for an hour; later the app shows it anyway. */
const NOTICE_LIFE_MS = 3_600_000;
/** Contract section 7: a push whose answer was lost is repeated once. */
const ANSWER_LOST_MAX = 2;
/** One that has not even lost its answer went down with its worker, most likely before it was sent. */
const UNKNOWN_MAX = 5;

interface Failed {
  /** To be tried again later. */
  again: Sent[];
  /** Apple never accepts them. */
  never: Sent[];
}

export interface CriticalLane {
  /**
   * Returns a sentence for the dashboard. Throws when a push is to be tried again later, and says
   * why; what is older than `NOTICE_LIFE_MS` is done with the outcome that it has. What Apple never
   * accepts is done, and fails for good where an operator sees it.
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
      if (!late) {
        const { again, never } = await push(note, devices, expiresAt);
        if (again.length > 0) throw new PushAgain(what).add(again);
        if (never.length > 0) {
          await markDone(ctx.db, note.id);
          const answers = never.map((one) => `${one.status} ${one.reason}`);
          throw new UnrecoverableError(`${what}: ${answers.join(', ')}`);
        }
      }
      await markDone(ctx.db, note.id);
      return late ? `${what}: too late to be sent` : `${what}: ${devices.length} phones`;
    },
  };

  /** Sends to those phones that need it. */
  async function push(
    note: NotificationRow,
    devices: readonly DeviceToken[],
    expiresAt: number,
  ): Promise<Failed> {
    const payload = alertPayload({ title: note.title, body: note.body, data: note.data });
    const before = await listAttempts(ctx.db, { notificationId: note.id });
    const due = devices.filter((device) => needsPush(device, before));
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
    const after = await listAttempts(ctx.db, { notificationId: note.id });
    return {
      again: sent.filter((one) => needsPush(one.device, after)),
      never: sent.filter(isOurFault),
    };
  }
}

/** Not yet tried, surely not processed, or not yet too often unknown. */
function needsPush(device: DeviceToken, before: readonly AttemptRow[]): boolean {
  const own = before.filter((attempt) => attempt.tokenSuffix === suffixOf(device.token));
  if (own.some(isSettled)) return false;
  const unknown = own.filter((attempt) => attempt.outcome === 'unknown');
  const answerLost = unknown.filter((attempt) => attempt.reason !== null);
  return answerLost.length < ANSWER_LOST_MAX && unknown.length < UNKNOWN_MAX;
}

function isSettled({ outcome, status, reason }: AttemptRow): boolean {
  if (outcome === 'sent' || outcome === 'not_sent') return true;
  return outcome === 'rejected' && isFinal(status ?? 0, reason ?? '');
}

const isOurFault = ({ status, reason }: Sent) =>
  status !== null && reactionTo(status, reason ?? '').kind === 'our_fault';
