/**
 * What follows from each answer of APNs: one table of every status and reason that Apple documents
 * ("Handling notification responses from APNs"). An answer that is not in it is treated by its class.
 */
import type { ApnsPush } from './messages.ts';

export interface Reaction {
  kind:
    | 'ok'
    /** The phone is gone, or the token never named one: it is removed. */
    | 'remove_token'
    /** Not accepted; may be sent again later. */
    | 'retry'
    /**
     * Not accepted, and Apple asks to wait for a quarter of an hour. An offer is old news by then; a
     * notification is sent again in a few seconds, on another connection, as usually only one is affected.
     */
    | 'retry_late'
    /** Not accepted because of the connection: sent again at once, once, on another. */
    | 'move'
    /** Key, topic or environment are wrong: may be sent once an operator has fixed that. */
    | 'config_fault'
    /** Our key may not do this: an operator must fix that; Apple asks never to repeat the push. */
    | 'forbidden'
    /** We sent something that Apple never accepts. */
    | 'our_fault';
  /** The connection that gave this answer takes no more pushes. */
  newConnection: boolean;
}

/** Our word for a bad token among too many: see `bad-token-breaker.ts`. */
export const MIX_UP = 'mix_up';
/** Our word for an answer of which only the status arrived. */
export const ANSWER_CUT = 'answer_cut';
/** Our word for a reason that is not Apple's. */
export const OTHER = 'other';

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
  ...entries('config_fault', false, `400 ${MIX_UP}`),
  // A connection keeps the topics and keys of its first push: after a fix another one is needed.
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
  ),
  ...entries('forbidden', true, '403 Forbidden'),
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
  ...entries('retry', false, '429 TooManyRequests', '503 ServiceUnavailable'),
  ...entries('retry_late', false, '500 InternalServerError'),
]);
const REASONS: ReadonlySet<string> = new Set(
  [...REACTIONS.keys()].map((answer) => answer.slice(answer.indexOf(' ') + 1)),
);

export function reactionTo(status: number, reason: string): Reaction {
  if (status === 200) return { kind: 'ok', newConnection: false };
  const known = REACTIONS.get(`${status} ${reason}`);
  if (known) return known;
  const passing = status === 429 || status >= 500 || reason === ANSWER_CUT;
  return { kind: passing ? 'retry' : 'our_fault', newConnection: false };
}

/** Is it useless ever to send it again? */
export function isFinal(status: number, reason: string, lane: ApnsPush['lane']): boolean {
  const { kind } = reactionTo(status, reason);
  if (kind === 'retry_late') return lane === 'nearby';
  return kind === 'ok' || kind === 'remove_token' || isRefusedForEver(status, reason);
}

/** Is the push itself refused for ever, whatever the phone? */
export function isRefusedForEver(status: number, reason: string): boolean {
  const { kind } = reactionTo(status, reason);
  return kind === 'our_fault' || kind === 'forbidden';
}

/** The answer for an invalid token, and for every token when sandbox and production are mixed up. */
export function isBadToken(status: number, reason: string): boolean {
  return status === 400 && reactionTo(status, reason).kind === 'remove_token';
}

/** The reason as a label of a metric: bounded, whatever a proxy may answer. */
export function labelOf(reason: string): string {
  return REASONS.has(reason) || reason === ANSWER_CUT ? reason : OTHER;
}
