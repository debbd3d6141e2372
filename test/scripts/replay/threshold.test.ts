import { describe, expect, test } from 'vitest';
import { spreadOf } from '../../../scripts/replay/stats.ts';
import {
  isHopeless,
  judgeThreshold,
  parseThreshold,
  type SoFar,
} from '../../../scripts/replay/threshold.ts';
import { eachTime } from '../../../scripts/replay/times.ts';
import { aReport, samplesLike } from './support/report.ts';

const { counts, times } = aReport(
  {},
  samplesLike((i) => 1 + (i % 100)),
);

describe('a threshold', () => {
  test.each([
    ['post_to_first_socket.p99<500', true, 99],
    ['post_to_first_socket.p99<99', false, 99],
    ['post_to_first_socket.p99 <= 99', true, 99],
    ['post_to_last_socket.p99_9<500ms', true, 100],
    ['post_to_answer.max<50', false, 100],
    ['post_to_answer.count>=1842', true, 1842],
    ['counts.open<1', true, 0],
    ['counts.won>2000', false, 1840],
  ])('%s is judged', (text, ok, value) => {
    expect(judgeThreshold(parseThreshold(text), times, counts)).toMatchObject({ ok, value });
  });

  test('that nothing can be said about has not been met', () => {
    const few = { ...times, post_to_answer: spreadOf(Array.from({ length: 99 }, () => 1)) };
    const judged = judgeThreshold(parseThreshold('post_to_answer.p50<500'), few, counts);
    expect(judged).toMatchObject({
      ok: false,
      value: null,
      note: 'only 99 samples, 100 are needed',
    });
    expect(judgeThreshold(parseThreshold('post_to_answer.max<500'), few, counts).ok).toBe(true);
  });

  test.each([
    ['post_to_first_socket.p99', 'must be like'],
    ['p99<500', 'must be like'],
    ['post_to_frist_socket.p99<500', "no time 'post_to_frist_socket'"],
    ['post_to_first_socket.p98<500', "no 'p98' of a time"],
    ['counts.offer<5', "no count 'offer'"],
  ])('%s is refused in one line', (text, message) => {
    expect(() => parseThreshold(text)).toThrow(message);
  });
});

describe('on the way', () => {
  const soFar = (values: number[], most: number): SoFar => {
    return { values: eachTime(() => values), most: eachTime(() => most), counts };
  };
  const hopeless = (text: string, values: number[], most: number): boolean =>
    isHopeless(parseThreshold(text), soFar(values, most));

  test('a percentile is lost once too many are too slow, whatever comes', () => {
    const slow = (count: number) => Array.from({ length: count }, () => 900);
    expect(hopeless('post_to_answer.p99<500', slow(10), 1000)).toBe(false);
    expect(hopeless('post_to_answer.p99<500', slow(11), 1000)).toBe(true);
    expect(hopeless('post_to_answer.p50<500', slow(500), 1000)).toBe(false);
    expect(hopeless('post_to_answer.max<500', slow(1), 1000)).toBe(true);
    expect(hopeless('post_to_answer.p99>500', slow(0), 1000)).toBe(false);
  });

  test('a count is lost once it is too high, unless jobs only pass through it', () => {
    expect(hopeless('counts.lost<7370', [], 0)).toBe(true);
    expect(hopeless('counts.reached_nobody<1', [], 0)).toBe(false);
  });
});
