import { describe, expect, it } from 'vitest';
import type { ApnsOutcome, ApnsPush } from '../../../../workers/push/apns/messages.ts';
import { createPauses } from '../../../../workers/push/apns/pauses.ts';
import { silentLog } from '../../../support/engine.ts';

const push = { topic: 'app' } as ApnsPush;
const refused = (status: number, reason: string, more: object = {}): ApnsOutcome => ({
  outcome: 'rejected',
  status,
  reason,
  ...more,
});
function start() {
  const clock = { now: 1_800_000_000_000 };
  return { clock, pauses: createPauses(() => clock.now, silentLog) };
}

describe('a pause', () => {
  it('that is over has one push try, unless another pause holds that back', () => {
    const { clock, pauses } = start();
    pauses.answered(push, refused(403, 'InvalidProviderToken'));
    clock.now += 20_000;
    for (let i = 0; i < 3; i++) pauses.answered(push, refused(503, 'ServiceUnavailable'));
    expect(pauses.reasonAgainst(push)).toBe('ServiceUnavailable');
    clock.now += 1001;
    // Nobody was let through meanwhile: the next one tries for both.
    expect(pauses.reasonAgainst(push)).toBeNull();
    expect(pauses.reasonAgainst(push)).not.toBeNull();
    pauses.answered(push, { outcome: 'sent' });
    expect(pauses.list()).toEqual([]);
    expect(pauses.reasonAgainst(push)).toBeNull();
  });

  it('is over when the one that tries meets a phone that is gone: it was let in', () => {
    const { clock, pauses } = start();
    for (let i = 0; i < 3; i++) pauses.answered(push, refused(503, 'ServiceUnavailable'));
    clock.now += 1001;
    expect(pauses.reasonAgainst(push)).toBeNull();
    pauses.answered(push, refused(410, 'Unregistered'));
    expect(pauses.list()).toEqual([]);
  });

  it('lasts as long as Apple asks for', () => {
    const { clock, pauses } = start();
    const busy = refused(503, 'ServiceUnavailable', { retryAfterMs: 90_000 });
    for (let i = 0; i < 3; i++) pauses.answered(push, busy);
    clock.now += 89_000;
    expect(pauses.stateOf('app')).toEqual({ reason: 'ServiceUnavailable', over: false });
    clock.now += 1001;
    expect(pauses.stateOf('app')).toMatchObject({ over: true });
  });

  it('of a service that stays out lasts 1, 2, 4 … 60 s, a little less each', () => {
    const { clock, pauses } = start();
    const out = () => pauses.answered(push, refused(503, 'ServiceUnavailable'));
    for (let i = 0; i < 3; i++) out();
    for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
      const from = clock.now;
      while (pauses.reasonAgainst(push) !== null) clock.now += 10;
      expect(clock.now - from).toBeGreaterThanOrEqual(seconds * 500);
      expect(clock.now - from).toBeLessThanOrEqual(seconds * 1000 + 10);
      out();
    }
  });

  it('begins when provider tokens are refused that were just made, not with an old one', () => {
    const { pauses } = start();
    const expired = (fresh: boolean) => refused(403, 'ExpiredProviderToken', { fresh });
    for (let i = 0; i < 10; i++) expect(pauses.answered(push, expired(false))).toBe(false);
    expect(pauses.answered(push, expired(true))).toBe(false);
    pauses.answered(push, { outcome: 'sent' });
    expect(pauses.answered(push, expired(true))).toBe(false);
    expect(pauses.answered(push, expired(true))).toBe(true);
    expect(pauses.list()).toEqual([{ scope: 'key', reason: 'ExpiredProviderToken' }]);
  });
});
