import { expect, test } from 'vitest';
import { EXPENSIVE, limitCalls, limitUpgrades } from '../../api/rate-limit.ts';

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
  const take = (cost?: number) => limit.take('driver:d1', 5000, cost);
  for (let i = 0; i < 400; i++) expect(take()).toBe(0);
  expect(take()).toBe(5);
  expect(take(EXPENSIVE)).toBe(5 * EXPENSIVE);
  expect(limit.take('driver:d2', 5000)).toBe(0);
  expect(limit.take('driver:d1', 5005)).toBe(0);
});

test('what is expensive counts more', () => {
  const limit = limitCalls();
  let admitted = 0;
  while (limit.take('driver:d1', 0, EXPENSIVE) === 0) admitted++;
  expect(admitted).toBe(400 / EXPENSIVE);
});

test('connections are opened ten times a second at most', () => {
  const limit = limitUpgrades();
  for (let i = 0; i < 10; i++) expect(limit.take('driver:d1', 0)).toBe(0);
  expect(limit.take('driver:d1', 0)).toBe(100);
  expect(limit.take('driver:d1', 100)).toBe(0);
});
