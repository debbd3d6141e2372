import { HistogramLogReader } from 'hdr-histogram-js';
import { expect, test } from 'vitest';
import { renderHdrLog } from '../../../scripts/replay/hdr-log.ts';
import { renderJunit } from '../../../scripts/replay/junit.ts';
import { limitOf } from '../../../scripts/replay/limit.ts';
import { renderPage } from '../../../scripts/replay/page/page.ts';
import { niceTicks, timeLabel, timeTicks } from '../../../scripts/replay/page/svg.ts';
import { progressLine } from '../../../scripts/replay/progress.ts';
import { formatReport } from '../../../scripts/replay/table.ts';
import { eachTime } from '../../../scripts/replay/times.ts';
import { aReport, samplesLike } from './support/report.ts';

const violations = Array.from({ length: 25 }, (_, i) => ({
  job_id: `job-${i}`,
  text: `2 <b>drivers</b> won: r1-d${i}, r1-d${i + 1}`,
}));
const bad = aReport({
  ok: false,
  invariants: [
    { id: 'one_winner', title: 'one winner', concern: 'safety', unchecked: null, violations },
  ],
  thresholds: [{ text: 'post_to_answer.p99<5', ok: false, value: 99, note: null }],
});

test('the table names what was measured and what held', () => {
  const text = formatReport(aReport());
  expect(text).toContain('1 842 posted of 1 842 due');
  expect(text).toContain('1 840 taken, 3 of them swept at the end, 2 reached nobody');
  expect(text).toContain('303 763');
  expect(text).toMatch(/post → first socket +1 842 +49\.0 +95\.0 +99\.0 +100\.0 +100\.0 +0 +99\.0/);
  expect(text).toMatch(/tap → answer, losers +0 +– +– +– +– +– +0 +–/);
  expect(text).toContain('holds  at most one winner per job');
  expect(text).toContain('feeds equal Postgres: not checked, no DATABASE_URL');
  expect(text).toContain('met    post_to_first_socket.p99<500, with 99');
});

test('a broken rule names its jobs, and how many more there are', () => {
  const text = formatReport(bad);
  expect(text).toContain('BROKEN one winner (25)');
  expect(text).toContain('job job-0: 2 <b>drivers');
  expect(text).toContain('and 15 more');
  expect(text).toContain('MISSED post_to_answer.p99<5, with 99');
});

test('the page stands alone, escapes what it shows and groups what is alike', () => {
  const page = renderPage(bad);
  expect(page).toContain('one winner (25)');
  expect(page).toContain('25 like this: 2 &lt;b&gt;drivers&lt;/b&gt; won: r1-d0, r1-d1');
  expect(page).toContain('href="http://127.0.0.1:1/ops/jobs/job-0"');
  expect(page).not.toMatch(/<script|<link|<img|src=|@import|url\(|NaN|undefined|Infinity/);
  expect(page).not.toContain('<b>drivers');
});

test('the page of a large run stays below 300 KB', () => {
  const map = Array.from({ length: 2500 }, (_, i) => {
    return { lat: 37 + (i % 50) / 100, lng: -122 + i / 5000, state: 'taken' };
  });
  const moments = Array.from({ length: 240 }, (_, t_s) => {
    return { t_s, offered: 200.5, achieved: 199.5, p50: 123.4, p99: 1234.5, errors: 1 };
  });
  const storms = [{ at_s: 9, share: 0.5, sync: true, cut: 9, back: 9, last_back_ms: 900 }];
  const page = renderPage(aReport({ map, storms, series: { every_s: 1, moments } }));
  expect(page).toContain('class="storm"');
  expect(Buffer.byteLength(page)).toBeLessThan(300_000);
});

test('the page of a run without anything to draw is still a page', () => {
  const nothing = samplesLike(() => 1, 0);
  const empty = { series: { every_s: 1, moments: [] }, map: [], curves: eachTime(() => []) };
  const page = renderPage(aReport({ ...empty, slower_than: [], thresholds: [] }, nothing));
  expect(page).toContain('Safe: 5 safety rules hold');
  expect(page).not.toMatch(/NaN|undefined|Infinity/);
});

test('axes have ticks that people would choose', () => {
  expect(niceTicks(87, 4)).toEqual([0, 50, 100]);
  expect(niceTicks(4.1, 4)).toEqual([0, 2, 4, 6]);
  expect(timeTicks(87, 6)).toEqual([0, 15, 30, 45, 60, 75]);
  expect([0, 90, 120, 900, 7200].map(timeLabel)).toEqual(['0', '90 s', '2 min', '15 min', '2 h']);
});

test('each rule and each threshold is a JUnit case', () => {
  const good = renderJunit(aReport());
  expect(good).toContain('tests="4" failures="0" skipped="1"');
  const text = renderJunit(bad);
  expect(text).toContain('tests="3" failures="2" skipped="0"');
  expect(text).toContain('name="post_to_answer.p99&lt;5"');
  expect(text).toContain('<failure message="25 violations">job job-0: 2 &lt;b&gt;drivers');
});

test('an HDR log can be read and merged by others', () => {
  const samples = samplesLike((i) => 1 + (i % 100), 1000);
  const text = renderHdrLog(samples, 0, '2026-01-01T00:00:00.000Z');
  const reader = new HistogramLogReader(text);
  let all: ReturnType<HistogramLogReader['nextIntervalHistogram']> = null;
  let count = 0;
  for (let next = reader.nextIntervalHistogram(); next; next = reader.nextIntervalHistogram()) {
    if (next.tag !== 'post_to_first_socket') continue;
    count += 1;
    if (all) all.add(next);
    else all = next;
  }
  expect(count).toBe(20);
  expect(all?.totalCount).toBe(1000);
  expect((all?.getValueAtPercentile(99) ?? 0) / 1000).toBeCloseTo(99, 0);
});

test('what held a run back is said', () => {
  const { environment, replayer } = aReport();
  const limit = (cpu: number, load_end: number, steal: number): string =>
    limitOf({
      environment: { ...environment, load_end, steal },
      replayer: { ...replayer, cpu },
    }).split(':')[0] ?? '';
  expect([limit(0.2, 1, 0), limit(0.9, 9, 0.9), limit(0.2, 9, 0), limit(0.2, 9, 0.1)]).toEqual([
    'not the replayer and not its machine',
    'the replayer',
    "the replayer's machine",
    "the machine's host",
  ]);
});

test('the progress line fits a terminal', () => {
  const second = {
    offered: 310,
    achieved: 298,
    errors: 12,
    p99Ms: 1234.5,
    behindMs: 12.3,
    jobs: 1842,
    won: 1800,
  };
  const line = progressLine(second, 15_000, 60_000);
  expect(line).toBe(
    '███░░░░░░░░░ 00:45 left 310/s done 298/s p99 1235 ms behind 12 ms err 12 won 1800/1842',
  );
  expect(line.length).toBeLessThanOrEqual(100);
  expect(progressLine({ ...second, p99Ms: null }, 90_000, 60_000)).toMatch(/00:00 left .* p99 – /);
});
