import { expect, test } from 'vitest';
import { numberFlag, readFlags, UsageError, wordFlag } from '../../../scripts/replay/flags.ts';
import { sample, seededRandom } from '../../../scripts/replay/random.ts';
import { spreadOf } from '../../../scripts/replay/stats.ts';

test('percentiles are nearest rank, to a tenth of a millisecond, and none of fewer than 100', () => {
  const thousand = Array.from({ length: 1000 }, (_, i) => 1000 - i);
  const of = (p50: number, p95: number, p99: number, p99_9: number, max: number) => {
    return { p50, p95, p99, p99_9, max };
  };
  expect(spreadOf(thousand)).toEqual({ count: 1000, ...of(500, 950, 990, 999, 1000) });
  expect(spreadOf(thousand.slice(900))).toEqual({ count: 100, ...of(50, 95, 99, 100, 100) });
  const none = { p50: null, p95: null, p99: null, p99_9: null };
  expect(spreadOf(thousand.slice(901))).toEqual({ count: 99, ...none, max: 99 });
  expect(spreadOf([1.26])).toEqual({ count: 1, ...none, max: 1.3 });
  expect(spreadOf([])).toEqual({ count: 0, ...none, max: null });
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
  const names = { values: ['speed', 'taps'], lists: ['url'], switches: ['keep'] };
  const argv = ['--speed', '2.5', '--taps=3', '--url', 'a', '--url', 'b', '--keep'];
  const { help, values, lists, on } = readFlags(argv, names);
  expect(help).toBe(false);
  expect(lists.get('url')).toEqual(['a', 'b']);
  expect(on).toEqual(new Set(['keep']));
  const limits = { min: 0, max: 10, whole: true };
  expect(numberFlag(values, 'taps', 1, limits)).toBe(3);
  expect(numberFlag(values, 'seed', 1, limits)).toBe(1);
  expect(numberFlag(values, 'speed', 1, { ...limits, whole: false })).toBe(2.5);
  expect(() => numberFlag(values, 'speed', 1, limits)).toThrow('--speed must be a whole number');
  expect(wordFlag(new Map(), 'people', ['real', 'greedy'])).toBe('real');
  const wrong = new Map([['people', 'lazy']]);
  expect(() => wordFlag(wrong, 'people', ['real', 'greedy'])).toThrow('must be real or greedy');
  expect(() => readFlags(['--sped', '1'], names)).toThrow(UsageError);
  expect(() => readFlags(['--speed'], names)).toThrow(/^[^\n]+$/);
  expect(() => readFlags(['trace.gz'], names)).toThrow(UsageError);
  expect(readFlags(['--help'], names).help).toBe(true);
});
