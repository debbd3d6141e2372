/**
 * The critical lane: one notification to every phone of its user. It is done when the outcome is on
 * record, or when there is no phone; until then maintenance enqueues it again. What reached Apple is
 * not sent again; what may have reached it is repeated once, under the same collapse id, so that the
 * phone shows it once.
 */
import { type Attempt, type DeviceToken, suffixOf } from '../../engine/domain/push.ts';
import type { Engine, NotificationRow } from '../../engine/engine.ts';
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
import type { Sender, Sent } from './sender.ts';

/** A notification is useful for an hour; later the app shows it anyway. */
const NOTIFICATION_LIFE_MS = 3_600_000;
/** Contract section 6: a push with an unknown outcome is repeated once. */
const UNKNOWN_MAX = 2;

interface Failed {
  /** Pushes to be tried again later. */
  again: Waits[];
  /** Pushes that Apple never accepts. */
  never: Sent[];
}

export interface CriticalLane {
  /**
   * Returns a sentence for the dashboard. Throws when a push must be tried again later, and says why; a
   * notification older than `NOTIFICATION_LIFE_MS` is done with the outcome that it has. One that Apple
   * never accepts is done, and its task fails for good where an operator sees it.
   */
  notify(task: NotificationTask): Promise<string>;
}

export function createCriticalLane(
  engine: Pick<Engine, 'notifications' | 'devices' | 'pushes' | 'now'>,
  sender: Sender,
): CriticalLane {
  const { notifications, devices: phones, pushes, now } = engine;
  return {
    async notify({ notification_id }) {
      const notification = await notifications.find(notification_id);
      if (!notification) return 'no such notification';
      if (notification.doneAt !== null) return 'was done before';
      const what = `${notification.type} to ${notification.app} ${notification.userId}`;
      const devices = await phones.of(notification.app, [notification.userId]);
      const expiresAt = notification.createdAt + NOTIFICATION_LIFE_MS;
      const obsolete = expiresAt <= now() ? 'too late to be sent' : await overtaken(notification);
      if (obsolete !== null) {
        await notifications.markDone(notification.id);
        return `${what}: ${obsolete}`;
      }
      const { again, never } = await push(notification, devices, expiresAt);
      if (again.length > 0) throw new PushAgain(what).add(again);
      await notifications.markDone(notification.id);
      if (never.length > 0) throw neverAccepted(what, never);
      return `${what}: ${devices.length} phones`;
    },
  };

  /** All notifications of a job share a collapse id, so a late one would replace a newer one. */
  async function overtaken(notification: NotificationRow): Promise<string | null> {
    return (await notifications.isOvertaken(notification))
      ? 'a newer one about the same job was sent'
      : null;
  }

  /** Sends to the phones that need it now. */
  async function push(
    notification: NotificationRow,
    devices: readonly DeviceToken[],
    expiresAt: number,
  ): Promise<Failed> {
    const { title, body, data, app, jobId, type: kind } = notification;
    const payload = alertPayload({ title, body, data });
    const { record, before } = await pushes.recordOf(notification.id);
    const attemptsAt = (device: DeviceToken) => own(device, [...before, ...record.attempts]);
    const due = devices.filter((device) => {
      const at = dueAt(attemptsAt(device));
      return at !== null && at <= now();
    });
    const receivers = due.map((device) => ({ device, place: 0 }));
    const about = { lane: 'critical' as const, app, jobId, kind };
    const sent = await sender.send({ ...about, payload, expiresAt }, record, receivers);
    // Look again when another run has finished what it began.
    if (!sent) return { again: [{ why: 'another run', inMs: 0 }], never: [] };
    const again = devices.flatMap((device): Waits[] => {
      const attempts = attemptsAt(device);
      const at = dueAt(attempts);
      if (at === null) return [];
      const said = sent.find((one) => one.device === device) ?? attempts.at(-1);
      const asked = said && 'retryAfterMs' in said ? (said.retryAfterMs ?? 0) : 0;
      return [{ why: said?.reason ?? 'unknown', inMs: Math.max(at - now(), asked) }];
    });
    return { again, never: sent.filter(isNeverAccepted) };
  }
}

const own = ({ token }: DeviceToken, attempts: readonly Attempt[]) =>
  attempts.filter((attempt) => attempt.tokenSuffix === suffixOf(token));

/** When, after these attempts, a phone needs the push, epoch ms; null: not at all. */
function dueAt(attempts: readonly Attempt[]): number | null {
  if (attempts.some(isSettled)) return null;
  const unknown = attempts.filter(({ outcome }) => outcome === 'unknown');
  const inFlight = unknown.filter(({ reason }) => reason === null).at(-1);
  if (unknown.length >= UNKNOWN_MAX) return null;
  return Math.max(inFlight ? inFlight.at + IN_FLIGHT_MS : 0, restsUntil(attempts));
}

function isSettled({ outcome, status, reason }: Attempt): boolean {
  if (outcome === 'sent' || outcome === 'not_sent') return true;
  return outcome === 'rejected' && isFinal(status ?? 0, reason ?? '', 'critical');
}
