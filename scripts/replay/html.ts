/**
 * The report as one page that needs nothing else: no script, no font, no picture from elsewhere.
 */
import { escapeHtml, lineChart, mapChart, spreadChart } from './charts.ts';
import type { Invariant } from './invariants.ts';
import { type Report, TIME_TITLES, type TimeName } from './report.ts';
import { number } from './table.ts';

/** Enough to start looking; the JSON has them all. */
const VIOLATIONS_SHOWN = 20;

const STYLE = `
:root { color-scheme: light dark; --ink: #1d2430; --dim: #667085; --page: #f6f7f9; --card: #fff;
  --rule: #e4e7ec; --good: #12805c; --bad: #c4320a; --a: #2563eb; --b: #12805c; --c: #c2790b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --dim: #98a2b3; --page: #0f141b;
  --card: #171e28; --rule: #2a3442; --good: #3ccb96; --bad: #ff8a65; --a: #6ea8fe; --b: #3ccb96;
  --c: #f0b34a; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 980px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 26px; margin: 0 0 4px; } h2 { font-size: 17px; margin: 0 0 12px; }
p.sub { color: var(--dim); margin: 0 0 24px; }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 12px;
  padding: 20px; margin: 0 0 20px; overflow-x: auto; }
.verdict { display: inline-block; padding: 4px 12px; border-radius: 999px; font-weight: 600;
  color: #fff; background: var(--good); margin: 0 0 16px; } .verdict.bad { background: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 12px;
  margin: 0 0 20px; }
.tile { background: var(--card); border: 1px solid var(--rule); border-radius: 12px;
  padding: 14px 16px; } .tile b { display: block; font-size: 24px; }
.tile span { color: var(--dim); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 6px 10px; border-bottom: 1px solid var(--rule); }
th:first-child, td:first-child { text-align: left; } th { color: var(--dim); font-weight: 500; }
ul { list-style: none; margin: 0; padding: 0; } li { padding: 4px 0; }
li::before { content: "✓"; color: var(--good); font-weight: 700; margin-right: 10px; }
li.broken::before { content: "✗"; color: var(--bad); } li.unchecked::before { content: "–"; }
li pre { margin: 6px 0 6px 24px; color: var(--bad); white-space: pre-wrap; font-size: 13px; }
.legend span { margin-right: 16px; color: var(--dim); }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 3px;
  margin-right: 6px; }
svg { width: 100%; height: auto; display: block; }
.line { fill: none; stroke-width: 2; } .grid { stroke: var(--rule); }
.tick { fill: var(--dim); font-size: 11px; } .label { fill: var(--ink); font-size: 12px; }
.line.a { stroke: var(--a); } .line.b { stroke: var(--b); } .line.c { stroke: var(--c); }
i.a { background: var(--a); } i.b { background: var(--b); } i.c { background: var(--c); }
.bar { fill: var(--a); rx: 3px; } .bar.p99 { opacity: .25; } .bar.p95 { opacity: .5; }
circle { opacity: .65; } circle.taken { fill: var(--b); } circle.open { fill: var(--bad); }
circle.reached_nobody { fill: var(--c); }`;

/** A whole HTML document. */
export function renderHtml(report: Report): string {
  const { trace } = report;
  const verdict = report.ok
    ? '<div class="verdict">All invariants hold</div>'
    : '<div class="verdict bad">Invariants broken</div>';
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Muster replay ${escapeHtml(report.run)}</title><style>${STYLE}</style></head><body><main>
<h1>Muster replay</h1>
<p class="sub">${escapeHtml(trace.name)} · ${number(trace.events)} events at ${report.speed}× ·
${escapeHtml(report.started_at)} · up to ${report.taps_per_job} taps a job · seed ${report.seed}</p>
${verdict}
<div class="tiles">${tiles(report)}</div>
<section><h2>Invariants</h2><ul>${report.invariants.map(invariantItem).join('\n')}</ul></section>
<section><h2>Times</h2>${timeChart(report)}${timeTable(report)}</section>
<section><h2>Jobs over time</h2>${overTime(report)}</section>
<section><h2>Where jobs appeared</h2>${map(report)}</section>
<section><h2>Also measured</h2><table>${facts(report)}</table></section>
</main></body></html>
`;
}

function tiles({ counts, trace, pushes }: Report): string {
  const shown: [string, number][] = [
    ['jobs posted', counts.posted],
    ['drivers', trace.drivers],
    ['offers delivered', counts.offers],
    ['claims won', counts.won],
    ['claims lost', counts.lost],
    ['pushes sent', pushes.sent],
  ];
  return shown
    .map(([title, value]) => `<div class="tile"><b>${number(value)}</b><span>${title}</span></div>`)
    .join('');
}

function invariantItem({ title, checked, violations }: Invariant): string {
  const name = escapeHtml(title);
  if (!checked) return `<li class="unchecked">${name} (not checked: no database)</li>`;
  if (violations.length === 0) return `<li>${name}</li>`;
  const shown = violations
    .slice(0, VIOLATIONS_SHOWN)
    .map(({ job_id, text }) => escapeHtml(`${job_id ?? ''} ${text}`.trim()));
  const count = number(violations.length);
  return `<li class="broken">${name} (${count})<pre>${shown.join('\n')}</pre></li>`;
}

const timeNames = Object.keys(TIME_TITLES) as TimeName[];

function timeChart({ times }: Report): string {
  const rows = timeNames.map((name) => ({ title: TIME_TITLES[name], spread: times[name] }));
  const caption = 'p50 / p95 / p99 in milliseconds, on a logarithmic scale';
  return `<p class="legend"><span>${caption}</span></p>${spreadChart(rows)}`;
}

function timeTable({ times }: Report): string {
  const rows = timeNames.map((name) => {
    const { count, p50, p95, p99, max } = times[name];
    const cells = [number(count), ...[p50, p95, p99, max].map((value) => value?.toFixed(1) ?? '–')];
    return `<tr><td>${escapeHtml(TIME_TITLES[name])}</td><td>${cells.join('</td><td>')}</td></tr>`;
  });
  const head =
    '<tr><th>milliseconds</th><th>count</th><th>p50</th><th>p95</th><th>p99</th><th>max</th></tr>';
  return `<table>${head}${rows.join('')}</table>`;
}

function overTime({ samples }: Report): string {
  const seconds = samples.map((sample) => sample.t_ms / 1000);
  const chart = lineChart(seconds, [
    { title: 'posted', tone: 'a', values: samples.map((sample) => sample.posted) },
    { title: 'won', tone: 'b', values: samples.map((sample) => sample.won) },
    { title: 'drivers online', tone: 'c', values: samples.map((sample) => sample.online) },
  ]);
  return `${legend([
    ['a', 'jobs posted'],
    ['b', 'claims won'],
    ['c', 'drivers online'],
  ])}${chart}`;
}

function map(report: Report): string {
  const points = report.map.map(({ lat, lng, state }) => ({ lat, lng, tone: state }));
  return `${legend([
    ['b', 'taken'],
    ['c', 'reached nobody'],
  ])}${mapChart(points)}`;
}

function legend(entries: readonly (readonly [string, string])[]): string {
  const items = entries.map(([tone, title]) => `<span><i class="${tone}"></i>${title}</span>`);
  return `<p class="legend">${items.join('')}</p>`;
}

function facts({ counts, pushes, replayer, played_ms, urls }: Report): string {
  const shown: [string, string][] = [
    ['API processes', String(urls.length)],
    ['played in', `${(played_ms / 1000).toFixed(1)} s`],
    ['jobs that reached nobody', number(counts.reached_nobody)],
    ['customers connected', number(counts.customers_connected)],
    ['pushes attempted', number(pushes.attempts)],
    ['customers pushed, and again', `${pushes.customers_pushed}, ${pushes.customer_repeats}`],
    ['drivers pushed again in a wave', number(pushes.driver_repeats)],
    ['drivers pushed after the claim', number(pushes.after_claim)],
    ['replayer behind the trace, at most', `${replayer.behind_max_ms} ms`],
    ['replayer event loop delay, p99', `${replayer.event_loop_p99_ms} ms`],
  ];
  return shown.map(([title, value]) => `<tr><td>${title}</td><td>${value}</td></tr>`).join('');
}
