/** A report of a made-up run, to be rendered or compared. */
import { curvesOf } from '../../../../scripts/replay/curves.ts';
import type { Report } from '../../../../scripts/replay/report.ts';
import { slicesOf } from '../../../../scripts/replay/series.ts';
import {
  eachTime,
  type Sample,
  type Samples,
  spreadsOf,
} from '../../../../scripts/replay/times.ts';

export const JOBS = 1842;

/** Samples of each time: `ms(i)` of the i-th job. */
export function samplesLike(ms: (job: number) => number, jobs = JOBS): Samples {
  const samples: Sample[] = Array.from({ length: jobs }, (_, job) => {
    return { job, dueMs: job * 20, ms: ms(job), serviceMs: ms(job), never: false };
  });
  return eachTime((name) => (name === 'tap_to_answer_lost' ? [] : samples));
}

// biome-ignore lint/complexity/noExcessiveLinesPerFunction: one record with all its fields.
export function aReport(change: Partial<Report> = {}, samples = samplesLike((i) => 1 + (i % 100))) {
  const times = spreadsOf(samples);
  const good = { ok: true, text: 'Safe: 5 safety rules hold.' };
  const report: Report = {
    ok: true,
    exit_code: 0,
    verdict: { safe: good, fast_enough: good, valid: good },
    run: 'r1',
    trace: {
      name: 'a.jsonl.gz',
      sha256: 'ab'.repeat(32),
      events: 10,
      drivers: 1,
      jobs: JOBS,
      duration_ms: 3_600_000,
    },
    urls: ['http://127.0.0.1:1'],
    started_at: '2026-01-01T00:00:00.000Z',
    speed: 60,
    seed: 1,
    arrivals: 'open',
    people: 'real',
    phones: { good: 100, slow: 0, flaky: 0 },
    taps_per_job: 5,
    warmup_s: 0,
    max_behind_ms: 50,
    partial: false,
    void: false,
    played_ms: 60_000,
    counts: {
      jobs: JOBS,
      posted: JOBS,
      refused: 0,
      unanswered_posts: 0,
      pending: 0,
      reached: 1840,
      reached_nobody: 2,
      open: 0,
      taken: 1840,
      swept: 3,
      offers: 303_763,
      taps: 9210,
      won: 1840,
      lost: 7370,
      unanswered: 0,
      pending_taps: 0,
      declined: 7,
      customers_told: 1840,
      warmup: 0,
    },
    times,
    service_times: times,
    never: eachTime(() => 0),
    slower_than: [{ ms: 50, share: 0.5 }],
    pushes: { attempts: 9, sent: 9, to_customers: 1840, after_claim: 0 },
    thresholds: [{ text: 'post_to_first_socket.p99<500', ok: true, value: 99, note: null }],
    invariants: [
      { ...rule('one_winner', 'at most one winner per job'), unchecked: null },
      { ...rule('feed_postgres', 'feeds equal Postgres'), unchecked: 'no DATABASE_URL' },
    ],
    storms: [],
    replayer: {
      processes: 1,
      events: 2000,
      late: 0,
      behind_max_ms: 3,
      event_loop_p99_ms: 12,
      cpu: 0.3,
    },
    environment: {
      commit: 'abc1234',
      node: 'v24',
      system: 'Linux',
      cpu: 'a CPU',
      cores: 2,
      memory_gb: 8,
      load_start: 1,
      load_end: 2,
      steal: 0.01,
      round_trip_ms: 0.8,
      command: 'npm run replay -- --trace a.jsonl.gz',
    },
    series: {
      every_s: 1,
      moments: Array.from({ length: 60 }, (_, t_s) => {
        return { t_s, offered: 30, achieved: 30, p50: 5, p99: 20, errors: 0 };
      }),
    },
    slices: slicesOf(samples, JOBS),
    curves: curvesOf(samples),
    map: [
      { lat: 45, lng: -34, state: 'taken' },
      { lat: 45.2, lng: -34.3, state: 'refused' },
    ],
    ...change,
  };
  return report;
}

function rule(id: string, title: string) {
  return { id, title, concern: 'safety' as const, violations: [] };
}
