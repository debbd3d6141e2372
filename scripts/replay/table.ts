/** The outcome as text: a progress line while it runs, then the table and the invariants. */
import { type Report, type Sample, TIME_TITLES, type TimeName } from './report.ts';
import type { Spread } from './stats.ts';
import type { Survey } from './trace.ts';

/** Broken rules can have thousands of cases; the JSON has them all. */
const VIOLATIONS_SHOWN = 10;

export function progressLine(sample: Sample, survey: Survey): string {
  const seconds = Math.round(sample.t_ms / 1000);
  const clock = `${pad(Math.floor(seconds / 60))}:${pad(seconds % 60)}`;
  const parts = [
    `${clock}  jobs ${number(sample.posted)}/${number(survey.jobs)}`,
    `online ${number(sample.online)}`,
    `offers ${number(sample.offers)}`,
    `won ${number(sample.won)}`,
    `lost ${number(sample.lost)}`,
  ];
  return parts.join('  ');
}

/** All that a person wants to know of a run, about forty lines. */
export function formatReport(report: Report): string {
  const { counts, pushes, replayer, trace } = report;
  const facts: [string, string][] = [
    ['trace', `${trace.name}, ${number(trace.events)} events at ${report.speed}×`],
    ['drivers', `${number(trace.drivers)} on ${report.urls.length} API process(es)`],
    ['jobs', `${number(counts.posted)} posted of ${number(trace.jobs)}`],
    ['reached a socket', number(counts.reached)],
    ['reached nobody', number(counts.reached_nobody)],
    ['offers delivered', number(counts.offers)],
    ['claims won', number(counts.won)],
    ['claims lost', number(counts.lost)],
    ['taps unanswered', number(counts.unanswered)],
    ['pushes', `${number(pushes.sent)} sent of ${number(pushes.attempts)} attempted`],
    ['customers pushed', `${number(pushes.customers_pushed)}, again ${pushes.customer_repeats}`],
    ['drivers pushed again', number(pushes.driver_repeats)],
    ['pushed after the claim', number(pushes.after_claim)],
    [
      'replayer lag',
      `${replayer.behind_max_ms} ms behind, loop p99 ${replayer.event_loop_p99_ms} ms`,
    ],
  ];
  const lines = facts.map(([title, value]) => `  ${title.padEnd(24)}${value}`);
  return ['', ...lines, '', ...timeTable(report), '', ...invariantLines(report), ''].join('\n');
}

export function number(value: number): string {
  return value.toLocaleString('en-US').replaceAll(',', ' ');
}

function timeTable(report: Report): string[] {
  const header = row('milliseconds', ['count', 'p50', 'p95', 'p99', 'max']);
  const names = Object.keys(TIME_TITLES) as TimeName[];
  return [header, ...names.map((name) => row(TIME_TITLES[name], cells(report.times[name])))];
}

function cells({ count, p50, p95, p99, max }: Spread): string[] {
  return [number(count), ...[p50, p95, p99, max].map((value) => value?.toFixed(1) ?? '–')];
}

function row(title: string, values: readonly string[]): string {
  return `  ${title.padEnd(36)}${values.map((value) => value.padStart(10)).join('')}`;
}

function invariantLines(report: Report): string[] {
  return report.invariants.flatMap(({ title, checked, violations }) => {
    if (!checked) return [`  –      ${title}: not checked, no database`];
    if (violations.length === 0) return [`  holds  ${title}`];
    const shown = violations.slice(0, VIOLATIONS_SHOWN).map(({ job_id, text }) => {
      return `           ${job_id === null ? '' : `job ${job_id}: `}${text}`;
    });
    const rest = violations.length - shown.length;
    const more = rest > 0 ? [`           and ${number(rest)} more`] : [];
    return [`  BROKEN ${title} (${number(violations.length)})`, ...shown, ...more];
  });
}

function pad(value: number): string {
  return String(value).padStart(2, '0');
}
