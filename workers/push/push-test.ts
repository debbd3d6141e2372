/** `POST /api/push/test`: one push to each phone of a user, at once, to see whether it arrives. */
import { randomUUID } from 'node:crypto';
import type { App } from '../../engine/domain/notifications.ts';
import { suffixOf } from '../../engine/domain/push.ts';
import type { Devices, Logger } from '../../engine/engine.ts';
import type { ApnsConfig } from '../../engine/process/config.ts';
import { alertPayload } from './apns/payload.ts';
import { type ApnsRoutes, createApnsRoutes } from './apns-routes.ts';

export interface PushTestResult {
  token_suffix: string;
  status: number | null;
  reason?: string;
}

/** Short, because somebody waits with the phone in his hand. */
const TEST_LIFE_S = 60;

/** Connects to APNs when first used. */
export function createPushTest(parts: { devices: Devices; apns: ApnsConfig; log: Logger }) {
  let routes: ApnsRoutes | undefined;
  return async (userId: string, app: App): Promise<PushTestResult[]> => {
    routes ??= createApnsRoutes(parts.apns, parts.log);
    const { send, topicOf } = routes;
    const devices = await parts.devices.of(app, [userId]);
    return Promise.all(
      devices.map(async (device) => {
        const { status, reason, goneSince } = await send(device.environment, {
          token: device.token,
          topic: topicOf(app),
          payload: alertPayload({
            title: 'Muster',
            body: 'This is a test.',
            data: { type: 'push_test' },
          }),
          collapseId: 'push-test',
          expiration: Math.floor(Date.now() / 1000) + TEST_LIFE_S,
          apnsId: randomUUID(),
          lane: 'critical',
        });
        if (goneSince) await parts.devices.forgetGone(device, goneSince);
        const suffix = suffixOf(device.token);
        return { token_suffix: suffix, status, ...(reason !== null && { reason }) };
      }),
    );
  };
}
