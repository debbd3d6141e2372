/**
 * The report as one self-contained page: no script, font or picture from elsewhere.
 * The replay and the demo write it.
 */
import type { Report } from '../report.ts';
import { cells, facts, milliseconds, number } from '../table.ts';
import { TIME_NAMES, TIME_TITLES, type TimeName } from '../times.ts';
import { type Curve, curveChart, legend } from './curve-chart.ts';
import { MAP_STATES, mapChart } from './map-chart.ts';
import { STYLE } from './style.ts';
import { escapeHtml } from './svg.ts';
import { timeChart, type Width } from './time-chart.ts';
import { invariantItem } from './violations.ts';

/** A whole HTML document. */
export function renderPage(report: Report): string {
  const { trace, run, verdict } = report;
  const sentences = Object.values(verdict).map(
    ({ ok, text }) => `<p${ok ? '' : ' class="bad"'}>${escapeHtml(text)}</p>`,
  );
  const sub = `${trace.name} · ${number(trace.events)} events at ${report.speed}× · seed ${report.seed} · ${report.started_at}${report.partial ? ' · partial' : ''}`;
  return document(`Muster replay ${run}`, [
    `<h1>Muster replay</h1><p class="sub">${escapeHtml(sub)}</p>`,
    `<section class="verdict">${sentences.join('')}</section>`,
    thresholdSection(report),
    section('Times, in milliseconds', `${timeTable(report)}${slowerNote(report)}`),
    section('The run over time', `${overTime(report)}`),
    section('Rules', `<ul>${report.invariants.map(ruleItem(report)).join('')}</ul>`),
    section('By percentile', curves(report)),
    section('Where jobs appeared', map(report)),
    section('What happened', factTable(facts(report))),
    section('Environment', factTable(environment(report))),
  ]);
}

/** A page around its parts; empty ones leave no trace. */
export function document(title: string, parts: readonly string[]): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title><style>${STYLE}</style></head><body><main>
${parts.filter((part) => part !== '').join('\n')}
</main></body></html>
`;
}

export function section(title: string, inside: string): string {
  return inside === '' ? '' : `<section><h2>${title}</h2>${inside}</section>`;
}

/** The same chart for wide and for narrow screens; the page shows the readable one. */
export function bothWidths(draw: (width: Width) => string): string {
  const narrow = draw('narrow');
  if (narrow === '') return '';
  return `<div class="wide">${draw('wide')}</div><div class="narrow">${narrow}</div>`;
}

/** On a narrow screen each row is a block, and the header stands above each value. */
export function timesTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const head = header.map((title) => `<th>${title}</th>`).join('');
  const body = rows.map((row) => {
    const [title = '', ...values] = row;
    const tds = values.map((value, i) => cell(value, header[i + 1] ?? ''));
    return `<tr><td>${title}</td>${tds.join('')}</tr>`;
  });
  return `<table class="times"><tr>${head}</tr>${body.join('')}</table>`;
}

/** A value may carry a class: `worse|12.3`. */
function cell(value: string, label: string): string {
  const [tone, text] = value.includes('|') ? value.split('|') : ['', value];
  return `<td${tone ? ` class="${tone}"` : ''} data-label="${label}">${text}</td>`;
}

export function factTable(rows: readonly (readonly [string, string])[]): string {
  const body = rows.map(
    ([title, value]) => `<tr><td>${escapeHtml(title)}</td><td>${escapeHtml(value)}</td></tr>`,
  );
  return `<table class="facts">${body.join('')}</table>`;
}

function thresholdSection({ thresholds }: Report): string {
  const items = thresholds.map(({ text, ok, value, note }) => {
    const said = `${escapeHtml(text)}: ${value === null ? escapeHtml(note ?? '') : number(value)}`;
    return `<li${ok ? '' : ' class="broken"'}>${said}</li>`;
  });
  return items.length === 0 ? '' : section('Thresholds', `<ul>${items.join('')}</ul>`);
}

function ruleItem({ urls }: Report) {
  return (invariant: Report['invariants'][number]): string =>
    invariantItem(invariant, urls[0] ?? 'http://localhost');
}

const HEADER = [
  'milliseconds',
  'count',
  'p50',
  'p95',
  'p99',
  'p99.9',
  'max',
  'never',
  'service p99',
];

function timeTable({ times, never, service_times }: Report): string {
  const rows = TIME_NAMES.map((name) => {
    const service = milliseconds(service_times[name].p99);
    const title = escapeHtml(TIME_TITLES[name]);
    return [title, ...cells(times[name]), number(never[name]), service];
  });
  return timesTable(HEADER, rows);
}

function slowerNote({ slower_than, counts }: Report): string {
  const shares = slower_than.filter(({ share }) => share > 0);
  const listed = shares.map(({ ms, share }) => {
    return `${(share * 100).toFixed(share < 0.01 ? 2 : 1)} % more than ${number(ms)} ms`;
  });
  const slow = listed.length > 0 ? ` From post to first socket took ${listed.join(', ')}.` : '';
  const warm =
    counts.warmup > 0 ? ` ${number(counts.warmup)} jobs of the warm-up are left out.` : '';
  return `<p class="note">Every time counts from its moment in the trace; what never came counts as 30 s. Service is from when the request left the replayer. No percentile is given from fewer than 100 samples.${warm}${slow}</p>`;
}

function overTime(report: Report): string {
  if (report.series.moments.length === 0) return '';
  const entries = [
    { tone: 'dim', title: 'offered' },
    { tone: 'a', title: 'achieved' },
    { tone: 'b', title: 'p50' },
    { tone: 'c', title: 'p99' },
    { tone: 'bad', title: 'errors' },
  ];
  const shaded =
    report.storms.length > 0 ? 'Storms are shaded until the last driver was back. ' : '';
  const piece = report.series.every_s === 1 ? 'second' : `${report.series.every_s} seconds`;
  const note = `<p class="note">${shaded}One point for each ${piece}; where it has fewer than 100 jobs, p99 is the slowest of them.</p>`;
  return `${legend(entries)}${bothWidths((width) => timeChart([report], width))}${note}`;
}

const CURVES: { name: TimeName; tone: string }[] = [
  { name: 'post_to_first_socket', tone: 'run0' },
  { name: 'post_to_last_socket', tone: 'run1' },
  { name: 'tap_to_answer_won', tone: 'b' },
  { name: 'tap_to_answer_lost', tone: 'run2' },
  { name: 'claim_to_last_cleared', tone: 'run3' },
  { name: 'claim_to_customer_told', tone: 'run4' },
];

function curves({ curves: found }: Report): string {
  const drawn: Curve[] = CURVES.map(({ name, tone }) => {
    return { title: TIME_TITLES[name], tone, points: found[name] };
  }).filter(({ points }) => points.length > 0);
  const chart = bothWidths((width) => curveChart(drawn, width));
  return chart === '' ? '' : `${legend(drawn)}${chart}`;
}

function map({ map: points }: Report): string {
  const present = MAP_STATES.filter(({ state }) => points.some((point) => point.state === state));
  const chart = mapChart(points);
  return chart === '' ? '' : `${legend(present)}${chart}`;
}

function environment({ environment: found, urls, replayer }: Report): [string, string][] {
  const { steal, round_trip_ms } = found;
  return [
    ['command', found.command],
    ['target', urls.join(', ')],
    ['round trip', round_trip_ms === null ? 'unknown' : `${round_trip_ms} ms (GET /healthz)`],
    ['commit', found.commit ?? 'unknown'],
    ['replayer runs on', `Node ${found.node}, ${found.system}, ${found.cpu}`],
    ['cores, memory', `${found.cores}, ${found.memory_gb} GB`],
    ['load', `${found.load_start} at the start, ${found.load_end} at the end`],
    ['steal', steal === null ? 'unknown' : `${(steal * 100).toFixed(1)} %`],
    ['busiest process', `${Math.round(replayer.cpu * 100)} % of a core`],
  ];
}
