import { expect, test } from 'vitest';
import { numberFlag, readFlags, UsageError } from '../../../scripts/replay/flags.ts';
import { sample, seededRandom } from '../../../scripts/replay/random.ts';
import { spreadOf } from '../../../scripts/replay/stats.ts';

test('percentiles are nearest rank, to a tenth of a millisecond', () => {
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
  expect(spreadOf(hundred)).toEqual({ count: 100, p50: 50, p95: 95, p99: 99, max: 100 });
  expect(spreadOf([1.26])).toEqual({ count: 1, p50: 1.3, p95: 1.3, p99: 1.3, max: 1.3 });
  expect(spreadOf([])).toEqual({ count: 0, p50: null, p95: null, p99: null, max: null });
});

test('seeded chance repeats itself and chooses without repetition', () => {
  const draw = (seed: number): number[] => sample([1, 2, 3, 4, 5, 6], 4, seededRandom(seed));
  expect(draw(7)).toEqual(draw(7));
  expect(new Set(draw(7)).size).toBe(4);
  expect(sample([1, 2], 9, seededRandom(1)).sort()).toEqual([1, 2]);
  const random = seededRandom(3);
  const mean = Array.from({ length: 10_000 }, random).reduce((a, b) => a + b) / 10_000;
  expect(mean).toBeCloseTo(0.5, 1);
});

test('flags are read, and what is wrong with them is one line', () => {
  const { help, values } = readFlags(['--speed', '2.5', '--taps=3'], ['speed', 'taps']);
  expect(help).toBe(false);
  const limits = { min: 0, max: 10, whole: true };
  expect(numberFlag(values, 'taps', 1, limits)).toBe(3);
  expect(numberFlag(values, 'seed', 1, limits)).toBe(1);
  expect(numberFlag(values, 'speed', 1, { ...limits, whole: false })).toBe(2.5);
  expect(() => numberFlag(values, 'speed', 1, limits)).toThrow('--speed must be a whole number');
  expect(() => readFlags(['--sped', '1'], ['speed'])).toThrow(UsageError);
  expect(() => readFlags(['--speed'], ['speed'])).toThrow(/^[^\n]+$/);
  expect(() => readFlags(['trace.gz'], ['speed'])).toThrow(UsageError);
  expect(readFlags(['--help'], []).help).toBe(true);
});
