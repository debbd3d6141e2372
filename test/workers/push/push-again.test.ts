/** When a task that could not push somebody runs again, and what it says of itself meanwhile. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Attempt } from '../../../engine/domain/push.ts';
import { PushAgain, restsUntil, waitsFor } from '../../../workers/push/push-again.ts';
import type { Sent } from '../../../workers/push/sender.ts';
import { backoffMs } from '../../../workers/queues.ts';

const failed = (reason: string | null, retryAfterMs?: number): Sent => ({
  device: { token: 'aa', userId: 'u', environment: 'sandbox' },
  outcome: reason === null ? 'never_processed' : 'rejected',
  status: reason === null ? null : 429,
  reason,
  latencyMs: 1,
  retry: true,
  ...(retryAfterMs !== undefined && { retryAfterMs }),
});
const again = (...failures: Sent[]) => new PushAgain('job offer').add(failures.map(waitsFor));
/** After the first failure, the second … */
const waits = (error: Error | undefined, howMany: number) =>
  Array.from({ length: howMany }, (_, i) => backoffMs(i + 1, 'capped', error));

// Neither a little less nor a little more.
beforeEach(() => void vi.spyOn(Math, 'random').mockReturnValue(0.5));
afterEach(() => void vi.restoreAllMocks());

describe('a task that failed', () => {
  it('waits 1, 2, 4, 8 and then 15 s', () => {
    const seconds = [1000, 2000, 4000, 8000, 15_000, 15_000];
    expect(waits(undefined, 6)).toEqual(seconds);
    expect(waits(new Error('Postgres is away'), 6)).toEqual(seconds);
    expect(waits(again(failed('ServiceUnavailable')), 6)).toEqual(seconds);
    expect(backoffMs(300)).toBe(15_000);
  });

  it('waits a tenth less or more, so that many do not come back together', () => {
    vi.mocked(Math.random).mockReturnValue(0);
    expect(waits(undefined, 5)).toEqual([900, 1800, 3600, 7200, 13_500]);
    vi.mocked(Math.random).mockReturnValue(0.999_999);
    for (const [i, wait] of waits(undefined, 5).entries()) {
      const most = [1100, 2200, 4400, 8800, 16_500][i] ?? 0;
      expect(wait).toBeLessThanOrEqual(most);
      expect(wait).toBeGreaterThan(most - 1);
    }
  });
});

describe('a phone that is throttled', () => {
  const refused = (reason: string, at: number): Attempt => ({
    apnsId: 'id',
    tokenSuffix: 'aa',
    outcome: 'rejected',
    status: reason === 'InternalServerError' ? 500 : 429,
    reason,
    latencyMs: 1,
    apnsUniqueId: null,
    at,
  });

  it('is left alone for 5, 10, 20, 40 and then 60 s', () => {
    const times = Array.from({ length: 6 }, (_, n) => refused('TooManyRequests', n));
    const rests = times.map((last, n) => restsUntil(times.slice(0, n + 1)) - last.at);
    expect(rests).toEqual([5000, 10_000, 20_000, 40_000, 60_000, 60_000]);
    expect(backoffMs(1, 'capped', again(failed('TooManyRequests')))).toBe(5000);
  });

  it('does not keep those that are due from being pushed', () => {
    expect(backoffMs(1, 'capped', again(failed('TooManyRequests'), failed(null)))).toBe(1000);
  });
});

describe('a delay that APNs asks for', () => {
  it('is kept, where our own would be shorter', () => {
    const patient = again(failed('ServiceUnavailable', 7000));
    expect(waits(patient, 5)).toEqual([7000, 7000, 7000, 8000, 15_000]);
    vi.mocked(Math.random).mockReturnValue(0);
    expect(backoffMs(1, 'capped', patient)).toBe(7000);
  });

  it('of several is the shortest, since the others wait on', () => {
    const all = again(failed('ServiceUnavailable', 9000), failed('ServiceUnavailable', 3000));
    expect(backoffMs(1, 'capped', all)).toBe(3000);
  });
});

describe('what it says', () => {
  it('counts the reasons, or the outcomes where there is none', () => {
    const error = again(failed('ServiceUnavailable'), failed(null), failed('ServiceUnavailable'));
    expect(error.count).toBe(3);
    expect(error.message).toBe('job offer: ServiceUnavailable (2), never_processed');
    expect(error.add([waitsFor(failed(null))]).message).toBe(
      'job offer: ServiceUnavailable (2), never_processed (2)',
    );
  });

  it('names no more than five', () => {
    const reasons = ['A', 'B', 'C', 'D', 'E', 'F'];
    const { message } = again(...reasons.map((reason) => failed(reason)));
    expect(message).toBe('job offer: A, B, C, D, E');
  });
});
