/**
 * Broken rules for people: thousands of cases of one kind are one line with their number and one
 * example, which links to the job's page in the console.
 */
import { urlOf } from '../../client/http.ts';
import type { Invariant, Violation } from '../invariants.ts';
import { number } from '../table.ts';
import { escapeHtml } from './svg.ts';

/** Where the console shows one job. */
const CONSOLE_JOB = '/ops/jobs/';
const KINDS_SHOWN = 8;

export function invariantItem(invariant: Invariant, url: string): string {
  const { title, unchecked, violations } = invariant;
  const name = escapeHtml(title);
  if (unchecked !== null) {
    return `<li class="unchecked">${name}: not checked, ${escapeHtml(unchecked)}</li>`;
  }
  if (violations.length === 0) return `<li>${name}</li>`;
  const kinds = [...grouped(violations)].sort((a, b) => b[1].length - a[1].length);
  const shown = kinds.slice(0, KINDS_SHOWN).map(([, cases]) => kindItem(cases, url));
  const rest = kinds.length - shown.length;
  const more = rest > 0 ? `<p>and ${number(rest)} other kinds</p>` : '';
  return `<li class="broken">${name} (${number(violations.length)})${shown.join('')}${more}</li>`;
}

function kindItem(cases: readonly Violation[], url: string): string {
  const [example] = cases;
  if (!example) return '';
  const { job_id, text } = example;
  const many = cases.length > 1 ? `${number(cases.length)} like this: ` : '';
  const link =
    job_id === null
      ? ''
      : `, <a href="${escapeHtml(urlOf(url, CONSOLE_JOB + encodeURIComponent(job_id)).href)}">job ${escapeHtml(job_id)}</a>`;
  return `<p>${many}${escapeHtml(text)}${link}</p>`;
}

/** Texts that differ only in drivers, jobs and numbers are of one kind. */
function grouped(violations: readonly Violation[]): Map<string, Violation[]> {
  const kinds = new Map<string, Violation[]>();
  for (const violation of violations) {
    const kind = violation.text.replace(/\b[\w-]*\d[\w-]*\b/g, '#').replace(/(#[, ]*)+/g, '# ');
    kinds.set(kind, [...(kinds.get(kind) ?? []), violation]);
  }
  return kinds;
}
