/**
 * The verdict on a run: safe, fast enough, valid, one sentence each, and the exit code that follows
 * (contract section 8). Pure.
 */
import type { Invariant } from './invariants.ts';
import type { ReplayerReport, Verdict } from './report.ts';
import type { Judged } from './threshold.ts';

export const EXIT = { good: 0, unsafe: 1, couldNotRun: 2, missed: 3, void: 4, stopped: 130 };

export interface Findings {
  invariants: readonly Invariant[];
  thresholds: readonly Judged[];
  replayer: ReplayerReport;
  maxBehindMs: number;
  /** Ctrl-C, or another signal. */
  stopped: boolean;
  /** `--abort-on-fail` ended it. */
  aborted: boolean;
}

export interface Judgement {
  verdict: { safe: Verdict; fast_enough: Verdict; valid: Verdict };
  void: boolean;
  exitCode: number;
}

/** One event in a hundred may be late, as no machine keeps every millisecond … */
const LATE_SHARE = 0.01;
/** … but none this many times later than allowed. */
const MUCH_LATER = 10;

export function judge(findings: Findings): Judgement {
  const verdict = {
    safe: safe(findings.invariants),
    fast_enough: fastEnough(findings),
    valid: valid(findings),
  };
  const isVoid = !keptSchedule(findings);
  return { verdict, void: isVoid, exitCode: exitCode(findings, verdict, isVoid) };
}

function exitCode({ stopped }: Findings, verdict: Judgement['verdict'], isVoid: boolean): number {
  if (stopped) return EXIT.stopped;
  if (!verdict.safe.ok) return EXIT.unsafe;
  if (isVoid) return EXIT.void;
  return verdict.fast_enough.ok ? EXIT.good : EXIT.missed;
}

function safe(invariants: readonly Invariant[]): Verdict {
  const rules = invariants.filter(({ concern }) => concern === 'safety');
  const broken = rules.filter(({ violations }) => violations.length > 0);
  const open = rules.filter(({ unchecked }) => unchecked !== null);
  const not = open.map(({ title, unchecked }) => `${title} (${unchecked})`).join('; ');
  const rest = open.length > 0 ? ` Not checked: ${not}.` : '';
  if (broken.length === 0) {
    const held = rules.length - open.length;
    const said = held === 1 ? '1 safety rule holds' : `${held} safety rules hold`;
    return { ok: true, text: `Safe: ${said}.${rest}` };
  }
  const named = broken.map(({ title, violations }) => `${title} (${violations.length})`);
  return { ok: false, text: `Not safe: broken are ${named.join('; ')}.${rest}` };
}

function fastEnough({ invariants, thresholds, aborted }: Findings): Verdict {
  const rules = invariants.filter(({ concern }) => concern === 'liveness');
  const broken = rules.filter(({ violations }) => violations.length > 0);
  const missed = thresholds.filter(({ ok }) => !ok);
  const named = [
    ...missed.map(({ text, value, note }) => `${text} missed with ${value ?? note}`),
    ...broken.map(({ title, violations }) => `broken: ${title} (${violations.length})`),
  ];
  if (named.length > 0) {
    const early = aborted ? ' The run was ended early.' : '';
    return { ok: false, text: `Not fast enough: ${named.join('; ')}.${early}` };
  }
  const kept = { 0: 'no threshold was set', 1: 'the threshold is met' }[thresholds.length];
  const said = kept ?? `all ${thresholds.length} thresholds are met`;
  return { ok: true, text: `Fast enough: everything was answered in time, ${said}.` };
}

function valid(findings: Findings): Verdict {
  const { replayer, maxBehindMs, stopped } = findings;
  const { events, late, behind_max_ms } = replayer;
  const share = events === 0 ? 0 : (late / events) * 100;
  const facts = `${share.toFixed(1)} % of ${events} events left more than ${maxBehindMs} ms late, the latest ${behind_max_ms} ms`;
  if (!keptSchedule(findings)) {
    return { ok: false, text: `Void: the replayer could not keep its schedule, ${facts}.` };
  }
  if (stopped) return { ok: false, text: `Partial: the run was stopped; until then ${facts}.` };
  return { ok: true, text: `Valid: the replayer kept its schedule, ${facts}.` };
}

function keptSchedule({ replayer, maxBehindMs }: Findings): boolean {
  const { events, late, behind_max_ms } = replayer;
  if (behind_max_ms > maxBehindMs * MUCH_LATER) return false;
  return late <= Math.ceil(events * LATE_SHARE);
}
