/** Phones that a pause of APNs holds back now. A push that is not tried is no attempt and not recorded. */
import type { App } from '../../engine/domain/notifications.ts';
import type { DeviceToken } from '../../engine/domain/push.ts';
import type { ApnsRoutes } from './apns-routes.ts';
import type { Receiver, Sent } from './sender.ts';

/**
 * The phones that are held back, with the reason. All phones of a user go or none, because they are
 * recorded together; when a pause is over, those of one user go first, and their answers decide.
 */
export function heldBack(
  routes: Pick<ApnsRoutes, 'stateOf'>,
  app: App,
  receivers: readonly Receiver[],
): Map<Receiver, string> {
  const held = new Map<Receiver, string>();
  const tried = new Set<string>();
  for (const own of Map.groupBy(receivers, ({ device }) => device.userId).values()) {
    const reasons = own.map(({ device: { environment } }) => {
      const state = routes.stateOf(environment, app);
      if (!state) return null;
      if (!state.over || tried.has(environment)) return state.reason;
      tried.add(environment);
      return null;
    });
    own.forEach((receiver, i) => {
      const reason = reasons[i];
      if (reason && !reasons.includes(null)) held.set(receiver, reason);
    });
  }
  return held;
}

/** A push that certainly reached nobody, and may be sent again later. */
export const notTried = (device: DeviceToken, reason: string): Sent => ({
  device,
  outcome: 'never_processed',
  status: null,
  reason,
  latencyMs: null,
  retry: true,
});
