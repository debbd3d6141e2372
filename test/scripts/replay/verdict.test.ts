import { expect, test } from 'vitest';
import type { Invariant } from '../../../scripts/replay/invariants.ts';
import { type Findings, judge } from '../../../scripts/replay/verdict.ts';

const rule = (concern: Invariant['concern'], violations = 0): Invariant => ({
  id: concern,
  title: `the rule of ${concern}`,
  concern,
  unchecked: null,
  violations: Array.from({ length: violations }, () => ({ job_id: 'j', text: 'broken' })),
});

function findings(change: Partial<Findings> = {}): Findings {
  return {
    invariants: [rule('safety'), rule('liveness')],
    thresholds: [{ text: 'post_to_answer.p99<5', ok: true, value: 3, note: null }],
    replayer: {
      processes: 1,
      events: 1000,
      late: 10,
      behind_max_ms: 400,
      event_loop_p99_ms: 1,
      cpu: 0.2,
    },
    maxBehindMs: 50,
    stopped: false,
    aborted: false,
    ...change,
  };
}

const unsafe = [rule('safety', 2), rule('liveness')];
const missed = [{ text: 'post_to_answer.p99<5', ok: false, value: 9, note: null }];
const { replayer } = findings();
const behind = { ...replayer, late: 11 };

test.each<[string, Partial<Findings>, number]>([
  ['good', {}, 0],
  ['safety broken, before all but a stop', { invariants: unsafe, thresholds: missed }, 1],
  ['safety broken, though the measurement is void', { invariants: unsafe, replayer: behind }, 1],
  ['a threshold missed', { thresholds: missed }, 3],
  ['an answer that never came', { invariants: [rule('safety'), rule('liveness', 1)] }, 3],
  ['void, so a missed threshold says nothing', { thresholds: missed, replayer: behind }, 4],
  ['void by one event that was very late', { replayer: { ...replayer, behind_max_ms: 501 } }, 4],
  ['stopped', { stopped: true, invariants: unsafe }, 130],
])('%s', (_title, change, exitCode) => {
  expect(judge(findings(change)).exitCode).toBe(exitCode);
});

test('each question is answered in a sentence', () => {
  const { verdict } = judge(findings({ invariants: unsafe, thresholds: missed, replayer: behind }));
  expect(verdict.safe.text).toBe('Not safe: broken are the rule of safety (2).');
  expect(verdict.fast_enough.text).toBe('Not fast enough: post_to_answer.p99<5 missed with 9.');
  expect(verdict.valid.text).toMatch(/^Void: .* 1\.1 % of 1000 events left more than 50 ms late/);
});
