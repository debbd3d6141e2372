import { describe, expect, it } from 'vitest';
import {
  isFinal,
  labelOf,
  type Reaction,
  reactionTo,
} from '../../../../workers/push/apns/reactions.ts';

/** Every answer that Apple documents, and what follows from it. */
const rows: [number, string, Reaction['kind']][] = [
  [200, '', 'ok'],
  [400, 'BadDeviceToken', 'remove_token'],
  [400, 'DeviceTokenNotForTopic', 'remove_token'],
  [400, 'MissingDeviceToken', 'our_fault'],
  [400, 'BadTopic', 'config_fault'],
  [400, 'MissingTopic', 'config_fault'],
  [400, 'TopicDisallowed', 'config_fault'],
  [400, 'BadCollapseId', 'our_fault'],
  [400, 'BadExpirationDate', 'our_fault'],
  [400, 'BadMessageId', 'our_fault'],
  [400, 'BadPriority', 'our_fault'],
  [400, 'InvalidPushType', 'our_fault'],
  [400, 'DuplicateHeaders', 'our_fault'],
  [400, 'PayloadEmpty', 'our_fault'],
  [400, 'IdleTimeout', 'move'],
  [403, 'ExpiredProviderToken', 'move'],
  [403, 'InvalidProviderToken', 'config_fault'],
  [403, 'MissingProviderToken', 'config_fault'],
  [403, 'UnrelatedKeyIdInToken', 'move'],
  [403, 'BadEnvironmentKeyIdInToken', 'config_fault'],
  [403, 'BadCertificate', 'config_fault'],
  [403, 'BadCertificateEnvironment', 'config_fault'],
  [403, 'Forbidden', 'forbidden'],
  [404, 'BadPath', 'our_fault'],
  [405, 'MethodNotAllowed', 'our_fault'],
  [410, 'Unregistered', 'remove_token'],
  [410, 'ExpiredToken', 'remove_token'],
  [413, 'PayloadTooLarge', 'our_fault'],
  [429, 'TooManyRequests', 'retry'],
  [429, 'TooManyProviderTokenUpdates', 'retry'],
  [500, 'InternalServerError', 'retry_late'],
  [503, 'ServiceUnavailable', 'retry'],
  [503, 'Shutdown', 'move'],
  [400, 'mix_up', 'config_fault'],
  [400, 'answer_cut', 'retry'],
  [418, 'SomethingNew', 'our_fault'],
  [502, 'other', 'retry'],
];

describe('reactionTo', () => {
  it.each(rows)('%i %s → %s', (status, reason, kind) => {
    expect(reactionTo(status, reason)).toMatchObject({ kind });
  });
});

describe('isFinal', () => {
  it('a 500 is final for an offer, which is old news by then, and not for a notification', () => {
    expect(isFinal(500, 'InternalServerError', 'nearby')).toBe(true);
    expect(isFinal(500, 'InternalServerError', 'critical')).toBe(false);
  });

  it('what is forbidden is never repeated', () => {
    expect(isFinal(403, 'Forbidden', 'critical')).toBe(true);
  });
});

describe('labelOf', () => {
  it('is one of so many, whatever somebody answers', () => {
    expect(labelOf('BadDeviceToken')).toBe('BadDeviceToken');
    expect(labelOf('answer_cut')).toBe('answer_cut');
    expect(labelOf('Request 4711 was blocked')).toBe('other');
  });
});
