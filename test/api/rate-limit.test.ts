import { expect, test } from 'vitest';
import { createRateLimit } from '../../api/rate-limit.ts';

test('200 calls a second are never refused, however they are spread', () => {
  const limit = createRateLimit();
  for (let second = 0; second < 20; second++) {
    // All of them at the end of one second, at the start of the next.
    const at = second * 1000 + (second % 2 === 0 ? 999 : 0);
    for (let i = 0; i < 200; i++) limit.take('driver:d1', at);
  }
});

test('more are refused until the bucket has filled again; others are not concerned', () => {
  const limit = createRateLimit();
  const take = () => limit.take('driver:d1', 5000);
  for (let i = 0; i < 400; i++) take();
  expect(take).toThrow(expect.objectContaining({ code: 'rate_limited', retryAfterMs: 5 }));
  expect(() => limit.take('driver:d2', 5000)).not.toThrow();
  expect(() => limit.take('driver:d1', 5005)).not.toThrow();
  expect(() => limit.take('driver:d1', 5005)).toThrow('Too many calls');
});
