/** A replay as a JUnit file, for CI: each threshold and each invariant is a case. */
import type { Report } from './report.ts';

const VIOLATIONS_SHOWN = 20;

export function renderJunit(report: Report): string {
  const { thresholds, invariants, verdict } = report;
  const cases = [
    ...invariants.map(({ id, title, concern, unchecked, violations }) => {
      const shown = violations.slice(0, VIOLATIONS_SHOWN).map(({ job_id, text }) => {
        return job_id === null ? text : `job ${job_id}: ${text}`;
      });
      const said = `${violations.length} violations`;
      const inside =
        unchecked === null
          ? violations.length > 0 && failure(said, shown.join('\n'))
          : `<skipped message="${escapeXml(unchecked)}"/>`;
      return testCase(`muster.${concern}`, `${id}: ${title}`, inside || '');
    }),
    ...thresholds.map(({ text, ok, value, note }) => {
      const said = `${text} missed with ${value ?? note}`;
      return testCase('muster.threshold', text, ok ? '' : failure(said, said));
    }),
    testCase('muster.validity', 'the replayer kept its schedule', voided(report)),
  ];
  const failed = cases.filter((text) => text.includes('<failure')).length;
  const skipped = cases.filter((text) => text.includes('<skipped')).length;
  const seconds = (report.played_ms / 1000).toFixed(3);
  const totals = `tests="${cases.length}" failures="${failed}" skipped="${skipped}" errors="0"`;
  return `<?xml version="1.0" encoding="UTF-8"?>
<testsuites ${totals} time="${seconds}">
<testsuite name="muster replay ${escapeXml(report.run)}" ${totals} time="${seconds}" timestamp="${report.started_at.slice(0, 19)}">
${cases.join('\n')}
<system-out>${escapeXml(
    Object.values(verdict)
      .map(({ text }) => text)
      .join('\n'),
  )}</system-out>
</testsuite>
</testsuites>
`;
}

function voided({ void: isVoid, verdict }: Report): string {
  return isVoid ? failure(verdict.valid.text, verdict.valid.text) : '';
}

function testCase(group: string, name: string, inside: string): string {
  const head = `<testcase classname="${group}" name="${escapeXml(name)}"`;
  return inside === '' ? `${head}/>` : `${head}>${inside}</testcase>`;
}

function failure(message: string, text: string): string {
  return `<failure message="${escapeXml(message)}">${escapeXml(text)}</failure>`;
}

function escapeXml(text: string): string {
  const named: Record<string, string> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    '\n': '&#10;',
  };
  // Control characters are not even allowed as references.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is taken out
  return text.replace(/[\0-\x08\x0b\x0c\x0e-\x1f]/g, '').replace(/[&<>"\n]/g, (c) => named[c] ?? c);
}
