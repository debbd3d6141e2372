import { expect, test } from 'vitest';
import { renderHtml } from '../../../scripts/replay/html.ts';
import type { Report } from '../../../scripts/replay/report.ts';
import { spreadOf } from '../../../scripts/replay/stats.ts';
import { formatReport, progressLine } from '../../../scripts/replay/table.ts';

const survey = { events: 10, drivers: ['cab-1'], jobs: 1842, durationMs: 3_600_000 };

function aReport(change: Partial<Report> = {}): Report {
  const spread = spreadOf([1, 2, 3]);
  const sample = { t_ms: 1000, posted: 1, offers: 9, taps: 5, won: 1, lost: 4, online: 7 };
  return {
    ok: true,
    run: 'r1',
    trace: { name: 'a.jsonl.gz', events: 10, drivers: 1, jobs: 1842, duration_ms: 3_600_000 },
    urls: ['http://127.0.0.1:1'],
    started_at: '2026-01-01T00:00:00.000Z',
    speed: 60,
    taps_per_job: 5,
    seed: 1,
    played_ms: 60_000,
    counts: {
      jobs: 1842,
      posted: 1842,
      reached: 1840,
      reached_nobody: 2,
      offers: 303_763,
      taps: 9210,
      won: 1840,
      lost: 7370,
      unanswered: 0,
      customers_connected: 1842,
    },
    times: {
      post_to_first_socket: spread,
      post_to_last_socket: spread,
      tap_to_answer_won: spread,
      tap_to_answer_lost: spreadOf([]),
      claim_to_last_cleared: spread,
      claim_to_customer_told: spread,
      claim_to_last_push: spread,
    },
    pushes: {
      attempts: 9,
      sent: 9,
      customers_pushed: 1840,
      customer_repeats: 0,
      driver_repeats: 0,
      after_claim: 0,
    },
    replayer: { behind_max_ms: 3, event_loop_p99_ms: 12 },
    invariants: [
      { id: 'one_winner', title: 'at most one winner per job', checked: true, violations: [] },
      { id: 'feed_postgres', title: 'feeds equal Postgres', checked: false, violations: [] },
    ],
    samples: [sample, { ...sample, t_ms: 2000 }],
    map: [{ lat: 45, lng: -34, state: 'taken' }],
    ...change,
  };
}

const violations = Array.from({ length: 25 }, (_, i) => ({
  job_id: `job-${i}`,
  text: '<b>two drivers won</b>',
}));
const bad = aReport({
  ok: false,
  invariants: [{ id: 'one_winner', title: 'one winner', checked: true, violations }],
});

test('the table names what was measured and what held', () => {
  const text = formatReport(aReport());
  expect(text).toContain('1 842 posted of 1 842');
  expect(text).toContain('303 763');
  expect(text).toMatch(/post → first socket +3 +2\.0 +3\.0 +3\.0 +3\.0/);
  expect(text).toMatch(/claim → last push to a driver sent +3 +2\.0 /);
  expect(text).toMatch(/tap → answer, losers +0 +– +– +– +–/);
  expect(text).toContain('holds  at most one winner per job');
  expect(text).toContain('feeds equal Postgres: not checked');
});

test('a broken rule names its jobs, and how many more there are', () => {
  const text = formatReport(bad);
  expect(text).toContain('BROKEN one winner (25)');
  expect(text).toContain('job job-0: <b>two drivers won</b>');
  expect(text).toContain('and 15 more');
});

test('the page stands alone and escapes what it shows', () => {
  const page = renderHtml(bad);
  expect(page).toContain('Invariants broken');
  expect(page).toContain('job-0 &lt;b&gt;two drivers won');
  expect(page).not.toContain('<b>two drivers');
  expect(page).not.toMatch(/https?:|<script|<link|@import|url\(|NaN|undefined/);
});

test('the page of a run without anything to draw is still a page', () => {
  const page = renderHtml(aReport({ samples: [], map: [] }));
  expect(page).toContain('All invariants hold');
  expect(page).not.toMatch(/NaN|undefined|Infinity/);
});

test('the progress line fits a terminal', () => {
  const sample = {
    t_ms: 59_400,
    posted: 1842,
    offers: 303_763,
    taps: 36_840,
    won: 1842,
    lost: 34_998,
    online: 205,
  };
  const line = progressLine(sample, survey);
  expect(line).toBe('00:59  jobs 1 842/1 842  online 205  offers 303 763  won 1 842  lost 34 998');
  expect(line.length).toBeLessThanOrEqual(80);
});
