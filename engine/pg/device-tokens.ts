/** Device tokens in Postgres: which phones a user has. */

import type { App } from '../domain/notifications.ts';
import type { DeviceToken, GoneSince } from '../domain/push.ts';
import { anyOf, type Db } from './client.ts';
import { sql } from './drizzle.ts';
import type { RowOf } from './jobs.ts';

/** Nobody carries more phones; an app that keeps registering tokens must not multiply his pushes. */
const PHONES_MAX = 10;

/**
 * Registers a phone; a token that changes hands belongs to the newest user, and of a user's phones
 * the newest are kept.
 */
export async function saveDeviceToken(db: Db, device: DeviceToken & { app: App }): Promise<void> {
  await db.execute(sql`
    with dropped as (
      delete from device_tokens where token in (
        select token from device_tokens
        where user_id = ${device.userId} and app = ${device.app} and token <> ${device.token}
        order by registered_at desc offset ${PHONES_MAX - 1}::int))
    insert into device_tokens (token, user_id, app, environment)
    values (${device.token}, ${device.userId}, ${device.app}, ${device.environment})
    on conflict (token) do update set user_id = excluded.user_id, app = excluded.app,
      environment = excluded.environment, registered_at = now()`);
}

/** Forgets a phone, if it is this user's. */
export async function deleteDeviceToken(
  db: Db,
  userId: string,
  app: App,
  token: string,
): Promise<void> {
  await db.execute(sql`
    delete from device_tokens where token = ${token} and user_id = ${userId} and app = ${app}`);
}

/**
 * Removes a token that Apple reported as gone, unless the app registered it again since (Apple's rule for the
 * timestamp of a 410), or meanwhile for the other environment: then false.
 */
export async function removeGoneToken(
  db: Db,
  { token, environment }: Pick<DeviceToken, 'token' | 'environment'>,
  since: GoneSince,
): Promise<boolean> {
  const gone =
    'at' in since
      ? sql`to_timestamp(${since.at}::float8 / 1000)`
      : sql`now() - make_interval(secs => ${since.agoMs}::float8 / 1000)`;
  const removed = await db.execute(sql`
    delete from device_tokens
    where token = ${token} and environment = ${environment}
      and date_trunc('milliseconds', registered_at) <= ${gone}
    returning 1`);
  return removed.length > 0;
}

/** The phones of these users, each user's in the order in which they were registered. */
export async function deviceTokensOf(
  db: Db,
  app: App,
  userIds: readonly string[],
): Promise<DeviceToken[]> {
  return db.execute<RowOf<DeviceToken>>(sql`
    select token, user_id as "userId", environment from device_tokens
    where app = ${app}
      and user_id = ${anyOf(userIds)}
    order by user_id, registered_at`);
}
