/**
 * What follows from each answer of APNs: one table of every status and reason that Apple documents
 * ("Handling notification responses from APNs"). What is not in it is treated by its class.
 */

export interface Reaction {
  kind:
    | 'ok'
    /** The phone is gone, or was never one: its token is removed, unless too many are. */
    | 'remove_token'
    /** Not accepted; may be sent again later. */
    | 'retry'
    /** Not accepted, for the connection's sake: sent again at once, once, on another. */
    | 'move'
    /** Key, topic or environment are wrong: an operator must mend it, and then it may be sent. */
    | 'config_fault'
    /** We sent something that Apple never accepts. */
    | 'our_fault';
  /** The connection that gave this answer takes no more pushes. */
  newConnection: boolean;
}

const entries = (kind: Reaction['kind'], newConnection: boolean, ...answers: string[]) =>
  answers.map((answer): [string, Reaction] => [answer, { kind, newConnection }]);

const REACTIONS: ReadonlyMap<string, Reaction> = new Map([
  ...entries(
    'remove_token',
    false,
    '400 BadDeviceToken',
    '400 DeviceTokenNotForTopic',
    '410 Unregistered',
    '410 ExpiredToken',
  ),
  // A connection knows the topics and keys of its first push: a mended one needs another.
  ...entries(
    'config_fault',
    true,
    '400 BadTopic',
    '400 MissingTopic',
    '400 TopicDisallowed',
    '403 InvalidProviderToken',
    '403 MissingProviderToken',
    '403 BadEnvironmentKeyIdInToken',
    '403 BadCertificate',
    '403 BadCertificateEnvironment',
    '403 Forbidden',
  ),
  ...entries(
    'our_fault',
    false,
    '400 MissingDeviceToken',
    '400 BadCollapseId',
    '400 BadExpirationDate',
    '400 BadMessageId',
    '400 BadPriority',
    '400 InvalidPushType',
    '400 DuplicateHeaders',
    '400 PayloadEmpty',
    '404 BadPath',
    '405 MethodNotAllowed',
    '413 PayloadTooLarge',
  ),
  // The next session has a fresh provider token of its own.
  ...entries(
    'move',
    true,
    '400 IdleTimeout',
    '403 ExpiredProviderToken',
    '403 UnrelatedKeyIdInToken',
    '503 Shutdown',
  ),
  ...entries('retry', true, '429 TooManyProviderTokenUpdates'),
  ...entries(
    'retry',
    false,
    '429 TooManyRequests',
    '500 InternalServerError',
    '503 ServiceUnavailable',
  ),
]);

export function reactionTo(status: number, reason: string): Reaction {
  if (status === 200) return { kind: 'ok', newConnection: false };
  const known = REACTIONS.get(`${status} ${reason}`);
  if (known) return known;
  const kind = status === 429 || status >= 500 ? 'retry' : 'our_fault';
  return { kind, newConnection: false };
}

/** Is there nothing to gain from sending it again, ever? */
export function isFinal(status: number, reason: string): boolean {
  const { kind } = reactionTo(status, reason);
  return kind === 'ok' || kind === 'remove_token' || kind === 'our_fault';
}
