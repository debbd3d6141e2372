/**
 * What follows from each answer of APNs: one table of every status and reason that Apple documents
 * ("Handling notification responses from APNs"). What is not in it is treated by its class.
 */

export type Reaction =
  /** Delivered to Apple. */
  | { kind: 'ok' }
  /** The phone is gone, or was never one: its token is removed. */
  | { kind: 'remove_token' }
  /** May be sent again later. */
  | { kind: 'retry' }
  /** This connection is of no use any more; the push was not accepted and goes to another. */
  | { kind: 'new_connection' }
  /** The same, with a fresh provider token. */
  | { kind: 'new_token' }
  /** Key, topic or environment are wrong: an operator must mend it. */
  | { kind: 'config_fault' }
  /** We sent something that Apple never accepts. */
  | { kind: 'our_fault' };

const table = (kind: Reaction['kind'], ...answers: string[]) =>
  answers.map((answer): [string, Reaction] => [answer, { kind }]);

const REACTIONS: ReadonlyMap<string, Reaction> = new Map([
  ...table('remove_token', '400 BadDeviceToken', '410 Unregistered', '410 ExpiredToken'),
  ...table(
    'config_fault',
    '400 DeviceTokenNotForTopic',
    '400 BadTopic',
    '400 MissingTopic',
    '400 TopicDisallowed',
    '403 InvalidProviderToken',
    '403 BadEnvironmentKeyIdInToken',
    '403 BadCertificate',
    '403 BadCertificateEnvironment',
    '403 Forbidden',
  ),
  ...table(
    'our_fault',
    '400 MissingDeviceToken',
    '400 BadCollapseId',
    '400 BadExpirationDate',
    '400 BadMessageId',
    '400 BadPriority',
    '400 InvalidPushType',
    '400 DuplicateHeaders',
    '400 PayloadEmpty',
    '403 MissingProviderToken',
    '404 BadPath',
    '405 MethodNotAllowed',
    '413 PayloadTooLarge',
  ),
  ...table('new_connection', '400 IdleTimeout', '403 UnrelatedKeyIdInToken', '503 Shutdown'),
  ...table('new_token', '403 ExpiredProviderToken'),
  ...table(
    'retry',
    '429 TooManyRequests',
    '429 TooManyProviderTokenUpdates',
    '500 InternalServerError',
    '503 ServiceUnavailable',
  ),
]);

export function reactionTo(status: number, reason: string): Reaction {
  if (status === 200) return { kind: 'ok' };
  const known = REACTIONS.get(`${status} ${reason}`);
  if (known) return known;
  return { kind: status === 429 || status >= 500 ? 'retry' : 'our_fault' };
}
