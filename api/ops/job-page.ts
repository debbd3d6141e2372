/** A job's page for operators: what it is and what happened to it. Tasks of the queues lead here. */

import { toOwnersJob, toTime } from '../../engine/domain/job.ts';
import type { Engine } from '../../engine/engine.ts';
import { escapeHtml, htmlPage } from './page.ts';

/** The page as HTML; null when there is no such job. */
export async function jobPage(engine: Engine, base: string, id: string): Promise<string | null> {
  const row = await engine.jobs.find(id);
  if (!row) return null;
  const events = await engine.jobs.events(id);
  const facts = Object.entries(toOwnersJob(row))
    .filter(([, value]) => value !== null)
    .map(([name, value]) => [name, String(value)]);
  const happened = events.map(({ at, type, version, status, actor, driverId, reason }) => {
    return [toTime(at), type, `${status}, version ${version}`, actor, driverId ?? '', reason ?? ''];
  });
  return htmlPage(
    base,
    'Job',
    `<p><a href="${base}/ops">Console</a></p>
${table(facts)}
<h2 id="timeline">Timeline</h2>
${table(happened)}`,
  );
}

/** The job that a notification is about; null when there is no such notification. */
export async function jobOfNotification(engine: Engine, id: string): Promise<string | null> {
  return (await engine.notifications.find(id))?.jobId ?? null;
}

function table(rows: readonly (readonly string[])[]): string {
  const cells = (row: readonly string[]) =>
    row.map((text) => `<td>${escapeHtml(text)}</td>`).join('');
  return `<table>${rows.map((row) => `<tr>${cells(row)}</tr>`).join('')}</table>`;
}
