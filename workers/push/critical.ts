/**
 * The critical lane: one notification to every phone of its user. It is done when the outcome is on
 * record, or when there is no phone; else the reconciler hands it over again. What reached Apple is
 * not sent again; what may have is repeated once, under the same collapse id, so that the phone shows
 * it once.
 */
import type { EngineContext } from '../../engine/context.ts';
import { type DeviceToken, deviceTokensOf } from '../../engine/pg/device-tokens.ts';
import {
  findNotification,
  isOvertaken,
  markDone,
  type NotificationRow,
} from '../../engine/pg/notifications.ts';
import { type AttemptRow, listAttempts } from '../../engine/pg/push-attempts.ts';
import type { NotificationTask } from '../queues.ts';
import { alertPayload } from './apns/payload.ts';
import { isFinal } from './apns/reactions.ts';
import {
  IN_FLIGHT_MS,
  isNeverAccepted,
  neverAccepted,
  PushAgain,
  restsUntil,
  type Waits,
} from './push-again.ts';
import { type Sender, type Sent, suffixOf } from './sender.ts';

/** Who is coming is worth knowing for an hour; later the app shows it anyway. */
const NOTICE_LIFE_MS = 3_600_000;
/** Contract section 6: a push of which nobody knows is repeated once. */
const UNKNOWN_MAX = 2;

interface Failed {
  /** To be tried again later. */
  again: Waits[];
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
      const obsolete = expiresAt <= ctx.now() ? 'too late to be sent' : await overtaken(note);
      if (obsolete !== null) {
        await markDone(ctx.db, note.id);
        return `${what}: ${obsolete}`;
      }
      const { again, never } = await push(note, devices, expiresAt);
      if (again.length > 0) throw new PushAgain(what).add(again);
      await markDone(ctx.db, note.id);
      if (never.length > 0) throw neverAccepted(what, never);
      return `${what}: ${devices.length} phones`;
    },
  };

  /** All notices of a job share a collapse id: one that comes late would replace a newer one. */
  async function overtaken(note: NotificationRow): Promise<string | null> {
    return (await isOvertaken(ctx.db, note)) ? 'a newer one about the same job was sent' : null;
  }

  /** Sends to those phones that need it now. */
  async function push(
    note: NotificationRow,
    devices: readonly DeviceToken[],
    expiresAt: number,
  ): Promise<Failed> {
    const payload = alertPayload({ title: note.title, body: note.body, data: note.data });
    const before = await listAttempts(ctx.db, { notificationId: note.id });
    const due = devices.filter((device) => {
      const at = dueAt(own(device, before));
      return at !== null && at <= ctx.now();
    });
    const { app, jobId, type: kind, id: notificationId } = note;
    const about = { lane: 'critical' as const, app, jobId, wave: 0, kind, notificationId };
    const receivers = due.map((device) => ({ device }));
    const sent = await sender.send({ ...about, payload, expiresAt }, receivers);
    const after = await listAttempts(ctx.db, { notificationId: note.id });
    const again = devices.flatMap((device): Waits[] => {
      const attempts = own(device, after);
      const at = dueAt(attempts);
      if (at === null) return [];
      const said = sent.find((one) => one.device === device) ?? attempts.at(-1);
      const asked = said && 'retryAfterMs' in said ? (said.retryAfterMs ?? 0) : 0;
      return [{ why: said?.reason ?? 'unknown', inMs: Math.max(at - ctx.now(), asked) }];
    });
    return { again, never: sent.filter(isNeverAccepted) };
  }
}

const own = ({ token }: DeviceToken, attempts: readonly AttemptRow[]) =>
  attempts.filter((attempt) => attempt.tokenSuffix === suffixOf(token));

/** From when on a phone needs the push after these attempts, epoch ms; null: it does not. */
function dueAt(attempts: readonly AttemptRow[]): number | null {
  if (attempts.some(isSettled)) return null;
  const unknown = attempts.filter(({ outcome }) => outcome === 'unknown');
  const inFlight = unknown.filter(({ reason }) => reason === null).at(-1);
  if (unknown.length >= UNKNOWN_MAX) return null;
  return Math.max(inFlight ? inFlight.at + IN_FLIGHT_MS : 0, restsUntil(attempts));
}

function isSettled({ outcome, status, reason }: AttemptRow): boolean {
  if (outcome === 'sent' || outcome === 'not_sent') return true;
  return outcome === 'rejected' && isFinal(status ?? 0, reason ?? '', 'critical');
}
