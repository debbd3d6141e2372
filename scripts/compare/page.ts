/** Several runs on one page, drawn over each other; the others are compared with the first. */

import { limitOf } from '../replay/limit.ts';
import { type Curve, curveChart, legend } from '../replay/page/curve-chart.ts';
import { bothWidths, document, factTable, section, timesTable } from '../replay/page/page.ts';
import { escapeHtml } from '../replay/page/svg.ts';
import { timeChart } from '../replay/page/time-chart.ts';
import type { Report } from '../replay/report.ts';
import { milliseconds, number } from '../replay/table.ts';
import { TIME_NAMES, TIME_TITLES, type TimeName } from '../replay/times.ts';
import { type Comparison, type Difference, STATS } from './judge.ts';

export interface NamedRun {
  /** The name of its file, or its path where another's has the same name. */
  name: string;
  report: Report;
}

export interface ComparedRun extends NamedRun {
  comparison: Comparison;
}

const CURVES: TimeName[] = [
  'post_to_first_socket',
  'tap_to_answer_won',
  'claim_to_last_cleared',
  'claim_to_customer_told',
];

export function renderComparison(base: NamedRun, others: readonly ComparedRun[]): string {
  const runs = [base, ...others];
  const names = runs.map(({ name }, i) => ({ tone: `run${i}`, title: name }));
  const reports = runs.map(({ report }) => report);
  const over = bothWidths((width) => timeChart(reports, width));
  return document('Muster replays compared', [
    `<h1>Muster replays compared</h1><p class="sub">${escapeHtml(runs.map(({ name }) => name).join(' · '))}</p>`,
    `<section class="verdict">${others.map(sentence).join('')}</section>`,
    ...others.map((other) => section(escapeHtml(`${base.name} → ${other.name}`), table(other))),
    section('Over time', `${legend(names)}${over}`),
    ...CURVES.map((name) =>
      section(`By percentile: ${escapeHtml(TIME_TITLES[name])}`, curve(name, runs)),
    ),
    section('The runs', factTable(runs.map(({ name, report }) => [name, said(report)]))),
  ]);
}

/** A comparison in one sentence. */
export function summary({ comparison }: ComparedRun): string {
  const { differences, broken, regressed } = comparison;
  const named = (verdict: Difference['verdict']): string[] =>
    differences
      .filter((difference) => difference.verdict === verdict)
      .map(({ time, stat, a, b }) => `${time}.${stat} ${milliseconds(a)} → ${milliseconds(b)} ms`);
  const [worse, better] = [named('worse'), named('better')];
  if (regressed) return `Regressed: ${[...broken, ...worse].join('; ')}.`;
  if (better.length > 0) return `Better: ${better.join('; ')}; nothing regressed.`;
  const judged = differences.filter(({ verdict }) => verdict !== 'unknown').length;
  if (judged === 0) return 'Nothing can be said: the runs have too few samples.';
  return 'No difference beyond the spread of the runs.';
}

function sentence(run: ComparedRun): string {
  const bad = run.comparison.regressed ? ' class="bad"' : '';
  return `<p${bad}>${escapeHtml(`${run.name}: ${summary(run)}`)}</p>`;
}

function table({ comparison }: ComparedRun): string {
  const header = ['milliseconds', ...STATS.flatMap((stat) => [stat, `${stat} then`, 'noise'])];
  const rows = TIME_NAMES.map((time) => {
    const mine = comparison.differences.filter((difference) => difference.time === time);
    return [escapeHtml(TIME_TITLES[time]), ...mine.flatMap(values)];
  });
  return `${timesTable(header, rows)}<p class="note">A difference counts when it is more than the noise, which is twice the spread of the runs' ten parts, and more than is allowed.</p>`;
}

function values({ a, b, noiseMs, verdict }: Difference): string[] {
  const tone = verdict === 'worse' || verdict === 'better' ? `${verdict}|` : '';
  return [milliseconds(a), `${tone}${milliseconds(b)}`, `± ${milliseconds(noiseMs)}`];
}

function curve(name: TimeName, runs: readonly NamedRun[]): string {
  const curves: Curve[] = runs
    .map(({ name: title, report }, i) => ({ title, tone: `run${i}`, points: report.curves[name] }))
    .filter(({ points }) => points.length > 0);
  const chart = bothWidths((width) => curveChart(curves, width));
  return chart === '' ? '' : `${legend(curves)}${chart}`;
}

function said(report: Report): string {
  const { speed, seed, counts, started_at, environment, verdict, replayer } = report;
  return [
    `${started_at}, ${speed}×, seed ${seed}`,
    `${number(counts.posted)} posted of ${number(counts.jobs)}, ${number(counts.taken)} taken`,
    `commit ${environment.commit ?? 'unknown'}`,
    `the limit was ${limitOf(report)}`,
    `replayer ${Math.round(replayer.cpu * 100)} % of a core, behind ${replayer.behind_max_ms} ms`,
    ...Object.values(verdict).map(({ text }) => text.replace(/\.$/, '')),
  ].join('. ');
}
