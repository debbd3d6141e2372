import { expect, test } from 'vitest';
import { limitCalls, limitUpgrades } from '../../api/rate-limit.ts';

test('200 calls a second are never refused, however they are spread', () => {
  const limit = limitCalls();
  for (let second = 0; second < 20; second++) {
    // All of them at the end of one second, at the start of the next.
    const at = second * 1000 + (second % 2 === 0 ? 999 : 0);
    for (let i = 0; i < 200; i++) expect(limit.take('driver:d1', at)).toBe(0);
  }
});

test('a burst beyond it is refused with the time to wait, and nobody else is', () => {
  const limit = limitCalls();
  const take = (isExpensive?: boolean) => limit.take('driver:d1', 5000, isExpensive);
  for (let i = 0; i < 400; i++) expect(take()).toBe(0);
  expect(take()).toBe(5);
  expect(take(true)).toBe(1005);
  expect(limit.take('driver:d2', 5000)).toBe(0);
  expect(limit.take('driver:d1', 5005)).toBe(0);
});

test('of what is expensive half as many are taken at once, and as many a second', () => {
  const limit = limitCalls();
  let admitted = 0;
  while (limit.take('driver:d1', 0, true) === 0) admitted++;
  expect(admitted).toBe(200);
  for (let i = 1; i <= 2000; i++) expect(limit.take('driver:d1', i * 5, true)).toBe(0);
});

test('connections are opened ten times a second at most', () => {
  const limit = limitUpgrades();
  for (let i = 0; i < 10; i++) expect(limit.take('driver:d1', 0)).toBe(0);
  expect(limit.take('driver:d1', 0)).toBe(100);
  expect(limit.take('driver:d1', 100)).toBe(0);
});
