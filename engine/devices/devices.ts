/** The phones of drivers and customers, as the token under which Apple knows each. */
import type { EngineContext } from '../context.ts';
import type { App } from '../domain/notifications.ts';
import type { DeviceToken, GoneSince } from '../domain/push.ts';
import {
  deleteDeviceToken,
  deviceTokensOf,
  removeGoneToken,
  saveDeviceToken,
} from '../pg/device-tokens.ts';

export interface Devices {
  /**
   * Registers a phone; a token that changes hands belongs to the newest user, and of a user's phones the
   * newest are kept.
   */
  register(device: DeviceToken & { app: App }): Promise<void>;
  /** Forgets a phone, if it is this user's. */
  forget(userId: string, app: App, token: string): Promise<void>;
  /** The phones of these users, each user's in the order in which they were registered. */
  of(app: App, userIds: readonly string[]): Promise<DeviceToken[]>;
  /**
   * Forgets a phone that Apple reported as gone. False when the app has registered it again since, or for the
   * other environment.
   */
  forgetGone(
    device: Pick<DeviceToken, 'token' | 'environment'>,
    since: GoneSince,
  ): Promise<boolean>;
}

export function createDevices({ db }: Pick<EngineContext, 'db'>): Devices {
  return {
    register: (device) => saveDeviceToken(db, device),
    forget: (userId, app, token) => deleteDeviceToken(db, userId, app, token),
    of: (app, userIds) => deviceTokensOf(db, app, userIds),
    forgetGone: (device, since) => removeGoneToken(db, device, since),
  };
}
