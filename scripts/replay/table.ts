/** The outcome as text: the verdict, the counts, the times, and what was broken. */
import type { Invariant } from './invariants.ts';
import { limitOf } from './limit.ts';
import type { Report } from './report.ts';
import type { Spread } from './stats.ts';
import { TIME_NAMES, TIME_TITLES } from './times.ts';

/** Broken rules can have thousands of cases; the JSON has them all. */
const VIOLATIONS_SHOWN = 10;

/** The summary of a run for people, about fifty lines. */
export function formatReport(report: Report): string {
  const lines = facts(report).map(([title, value]) => `  ${title.padEnd(20)}${value}`);
  const verdict = Object.values(report.verdict).map(
    ({ ok, text }) => `  ${ok ? ' ' : '!'} ${text}`,
  );
  const rules = report.invariants.flatMap(invariantLines);
  const limits = report.thresholds.map(({ text, ok, value, note }) => {
    return `  ${ok ? 'met   ' : 'MISSED'} ${text}, with ${value ?? note}`;
  });
  const parts = [lines, timeTable(report), rules, limits, verdict].filter(
    (part) => part.length > 0,
  );
  return `\n${parts.map((part) => part.join('\n')).join('\n\n')}\n`;
}

export function number(value: number): string {
  return value.toLocaleString('en-US').replaceAll(',', ' ');
}

export function milliseconds(value: number | null): string {
  if (value === null) return '–';
  return value >= 1000 ? number(Math.round(value)) : value.toFixed(1);
}

/** The counts, each once; the parts of a whole stand beside it. */
export function facts(report: Report): [string, string][] {
  const { counts, pushes, replayer, trace, storms, phones } = report;
  const early = trace.jobs - counts.jobs;
  const posted = `${number(counts.posted)} posted of ${number(counts.jobs)} due`;
  const rest: [string, number][] = [
    ['refused', counts.refused],
    ['unanswered', counts.unanswered_posts],
    ['pending', counts.pending],
    ['not due any more', early],
  ];
  const lines: [string, string][] = [
    ['trace', `${trace.name}, ${number(trace.events)} events at ${report.speed}×`],
    ['drivers', `${number(trace.drivers)} on ${report.urls.length} API process(es)`],
    ['jobs', [posted, ...named(rest)].join(', ')],
    [
      'of these',
      named([
        ['taken', counts.taken],
        ['of them swept at the end', counts.swept],
        ['seen and left', counts.open],
        ['reached nobody', counts.reached_nobody],
      ]).join(', ') || '–',
    ],
    ['offers delivered', number(counts.offers)],
    [
      'taps',
      [
        `${number(counts.taps)}`,
        ...named([
          ['won', counts.won],
          ['lost', counts.lost],
          ['unanswered', counts.unanswered],
          ['pending', counts.pending_taps],
        ]),
      ].join(', '),
    ],
    ['declined', number(counts.declined)],
    ['customers told', number(counts.customers_told)],
    [
      'pushes',
      `${number(pushes.sent)} sent of ${number(pushes.attempts)}, ${number(pushes.to_customers)} to customers, ${number(pushes.after_claim)} to drivers after the claim`,
    ],
    [
      'replayer',
      `${replayer.processes} process(es), behind ${replayer.behind_max_ms} ms at most, event loop p99 ${replayer.event_loop_p99_ms} ms, CPU ${Math.round(replayer.cpu * 100)} % of a core`,
    ],
  ];
  lines.push(['the limit was', limitOf(report)]);
  if (counts.warmup > 0)
    lines.push(['warm-up', `${number(counts.warmup)} jobs left out of the times`]);
  if (phones.good < 100) {
    lines.push([
      'phones',
      `${phones.slow} % slow, ${phones.flaky} % flaky; times are of the others`,
    ]);
  }
  for (const { at_s, cut, sync, back, last_back_ms } of storms) {
    const how = sync ? 'at once' : 'with full jitter';
    const last = last_back_ms === null ? '' : `, the last after ${milliseconds(last_back_ms)} ms`;
    lines.push(['storm', `at ${at_s} s ${cut} sockets cut; ${back} drivers back ${how}${last}`]);
  }
  return lines;
}

function named(parts: readonly [string, number][]): string[] {
  return parts.flatMap(([title, value]) => (value > 0 ? [`${number(value)} ${title}`] : []));
}

const COLUMNS = ['count', 'p50', 'p95', 'p99', 'p99.9', 'max', 'never'];

function timeTable({ times, never, service_times }: Report): string[] {
  const header = row('milliseconds', [...COLUMNS, 'service']);
  const rows = TIME_NAMES.map((name) => {
    const service = milliseconds(service_times[name].p99);
    return row(TIME_TITLES[name], [...cells(times[name]), number(never[name]), service]);
  });
  return [header, ...rows, '  service: p99 from when the request left the replayer'];
}

/** As many as the columns, without the last. */
export function cells({ count, p50, p95, p99, p99_9, max }: Spread): string[] {
  return [number(count), ...[p50, p95, p99, p99_9, max].map(milliseconds)];
}

function row(title: string, values: readonly string[]): string {
  return `  ${title.padEnd(34)}${values.map((value) => value.padStart(8)).join('')}`;
}

function invariantLines({ title, concern, unchecked, violations }: Invariant): string[] {
  if (unchecked !== null) return [`  –      ${title}: not checked, ${unchecked}`];
  if (violations.length === 0) return [`  holds  ${title}`];
  const shown = violations.slice(0, VIOLATIONS_SHOWN).map(({ job_id, text }) => {
    return `           ${job_id === null ? '' : `job ${job_id}: `}${text}`;
  });
  const rest = violations.length - shown.length;
  const more = rest > 0 ? [`           and ${number(rest)} more`] : [];
  const word = concern === 'safety' ? 'BROKEN' : 'LATE  ';
  return [`  ${word} ${title} (${number(violations.length)})`, ...shown, ...more];
}
