/** The stylesheet of the report pages: the console's colours, from 390 pixels up, nothing from elsewhere. */
import { readFileSync } from 'node:fs';

const TOKENS = readFileSync(new URL('../../../api/ops/static/tokens.css', import.meta.url), 'utf8');

export const STYLE = `
${TOKENS}
:root { --storm: light-dark(#f59e0b33, #f0b34a33); --r2: light-dark(#9333ea, #c084fc);
  --r3: light-dark(#0891b2, #22d3ee); --r4: light-dark(#be185d, #f472b6); }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 980px; margin: 0 auto; padding: 28px 16px 56px; }
h1 { font-size: 25px; margin: 0 0 4px; } h2 { font-size: 17px; margin: 0 0 10px; }
p { margin: 0 0 12px; } p.sub { color: var(--quiet); margin: 0 0 20px; overflow-wrap: anywhere; }
p.note { color: var(--quiet); font-size: 13px; margin: 10px 0 0; }
section { background: var(--surface); border: 1px solid var(--line); border-radius: var(--radius);
  padding: 16px; margin: 0 0 16px; }
.verdict p { padding-left: 26px; position: relative; margin: 0 0 6px; font-weight: 600; }
.verdict p::before, li::before { content: "✓"; color: var(--good); font-weight: 700;
  position: absolute; left: 0; }
.verdict p.bad::before, li.broken::before { content: "✗"; color: var(--bad); }
li.unchecked::before { content: "–"; color: var(--quiet); }
ul { list-style: none; margin: 0; padding: 0; }
li { padding: 4px 0 4px 26px; position: relative; } li::before { left: 0; }
li p { margin: 2px 0 0; color: var(--quiet); font-size: 13px; overflow-wrap: anywhere; }
a { color: var(--accent); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: 6px 8px; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; } th { color: var(--quiet); font-weight: 500; }
td.worse { color: var(--bad); font-weight: 600; } td.better { color: var(--good); font-weight: 600; }
table.facts td { text-align: left; vertical-align: top; overflow-wrap: anywhere; }
table.facts td:first-child { color: var(--quiet); white-space: nowrap; }
.legend { color: var(--quiet); } .legend span { margin-right: 16px; white-space: nowrap; }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 3px;
  margin-right: 6px; background: var(--tone); }
svg { width: 100%; height: auto; display: block; } .narrow { display: none; }
.line { fill: none; stroke: var(--tone); stroke-width: 1.6; stroke-linejoin: round; }
.grid { stroke: var(--line); } .storm { fill: var(--storm); }
.tick { fill: var(--quiet); font-size: 11px; } .label { fill: var(--text); font-size: 12px; }
.big { fill: var(--quiet); font-size: 20px; } .scale { fill: none; stroke: var(--quiet); stroke-width: 2; }
.dots { stroke: var(--tone); stroke-width: 5; stroke-linecap: round; opacity: .7; }
.a, .run0 { --tone: var(--accent); } .b { --tone: var(--good); } .c, .run1 { --tone: var(--warn); }
.bad { --tone: var(--bad); } .dim { --tone: var(--quiet); } .run2 { --tone: var(--r2); }
.run3 { --tone: var(--r3); } .run4 { --tone: var(--r4); }
code { font: 13px/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
@media (max-width: 700px) {
  .wide { display: none; } .narrow { display: block; }
  table.times tr:first-child { display: none; }
  table.times tr { display: grid; grid-template-columns: repeat(4, 1fr); padding: 8px 0;
    border-bottom: 1px solid var(--line); }
  table.times td { border: 0; padding: 2px 4px; text-align: left; }
  table.times td:first-child { grid-column: 1 / -1; font-weight: 600; }
  table.times td:not(:first-child)::before { content: attr(data-label); display: block;
    color: var(--quiet); font-size: 11px; }
  table.facts td { display: block; border: 0; padding: 0 0 2px; }
  table.facts td:last-child { padding-bottom: 8px; border-bottom: 1px solid var(--line); }
}`;
