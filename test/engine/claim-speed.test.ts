/** How long a claim would take, as the queue before Postgres estimates it. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Speed } from '../../engine/jobs/claim/speed.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});
const pass = (ms: number) => vi.advanceTimersByTime(ms);

/** A batch that begins now and ends after so many ms. */
function batch(speed: Speed, ms: number, answered = true): void {
  const done = speed.begin();
  pass(ms);
  done(answered);
}

it('is at least as long as the oldest batch is out', () => {
  const speed = new Speed();
  batch(speed, 10);
  speed.begin();
  pass(4000);
  speed.begin();
  expect(speed.expectedMs(0)).toBe(4000);
  expect(speed.expectedMs(2)).toBe(12_000);
});

it('does not follow a batch that a younger one has overtaken, nor when that one ends at last', () => {
  const speed = new Speed();
  const silent = speed.begin();
  batch(speed, 10);
  pass(4000);
  // Nothing that counts is under way.
  expect(speed.expectedMs(0)).toBe(0);
  speed.begin();
  pass(20);
  expect(speed.expectedMs(0)).toBe(20);
  silent(false);
  expect(speed.expectedMs(0)).toBe(20);
});

it('is not shorter because a younger batch was lost: that one says nothing of the server', () => {
  const speed = new Speed();
  speed.begin();
  batch(speed, 10, false);
  pass(4000);
  expect(speed.expectedMs(0)).toBe(4010);
});
