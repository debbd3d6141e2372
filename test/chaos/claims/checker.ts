/**
 * Reads what the clients were told against what Postgres says happened. Every rule that does not
 * hold is a sentence with the job and the drivers concerned.
 */
import type postgres from 'postgres';
import type { History } from './load.ts';

interface EventRow {
  job_id: string;
  type: string;
  driver_id: string | null;
}
interface JobTruth {
  id: string;
  status: string;
  driver_id: string | null;
}

/** Refusals that claim something about the job, and the event that must then be on record. */
const NEEDS: Record<string, string> = {
  already_accepted: 'job.accepted',
  job_cancelled: 'job.cancelled',
  released: 'job.released',
};

export interface Verdict {
  won: number;
  doubles: string[];
  lost: string[];
  stuck: string[];
  untrue: string[];
  untold: string[];
}

export async function check(sql: postgres.Sql, history: History): Promise<Verdict> {
  const events = await sql<EventRow[]>`
    select job_id, type, driver_id from job_events order by job_id, version, id`;
  const rows = await sql<JobTruth[]>`select id, status, driver_id from jobs`;
  const byJob = Map.groupBy(events, (event) => event.job_id);
  const truth = new Map(rows.map((row) => [row.id, row]));
  const verdict: Verdict = {
    won: history.taps.filter(({ outcome }) => outcome === 'won').length,
    doubles: [],
    lost: [],
    stuck: [],
    untrue: [],
    untold: await untold(sql),
  };
  for (const [job, list] of byJob) verdict.doubles.push(...twoHolders(job, list));
  for (const job of history.jobs)
    if (!truth.has(job)) verdict.lost.push(`${job} was posted and is gone`);
  for (const tap of history.taps) {
    const list = byJob.get(tap.job) ?? [];
    const accepted = list.some((e) => e.type === 'job.accepted' && e.driver_id === tap.driver);
    // Nobody was told anything.
    if (tap.outcome === 'gave up') continue;
    if (tap.outcome === 'unanswered') verdict.stuck.push(`${tap.job}: ${tap.driver} has no answer`);
    else if (tap.outcome === 'won') {
      if (!accepted) verdict.lost.push(`${tap.job}: ${tap.driver} was told that he has it`);
      else if (!stillHis(list, truth.get(tap.job), tap.driver)) {
        verdict.lost.push(`${tap.job}: ${tap.driver} had it and it went without a trace`);
      }
    } else {
      const needed = NEEDS[tap.outcome];
      if (!needed || !list.some((e) => e.type === needed)) {
        verdict.untrue.push(`${tap.job}: ${tap.driver} was told ${tap.outcome}`);
      }
    }
  }
  verdict.doubles.push(...toldTwice(history));
  return verdict;
}

/** In the record: accepted again while somebody held it. */
function twoHolders(job: string, list: readonly EventRow[]): string[] {
  let holder: string | null = null;
  const wrong: string[] = [];
  for (const { type, driver_id } of list) {
    if (type === 'job.accepted') {
      if (holder !== null) wrong.push(`${job}: accepted by ${driver_id} while ${holder} held it`);
      holder = driver_id;
    } else if (type === 'job.released' || type === 'job.cancelled') holder = null;
  }
  return wrong;
}

/** By the clients: two were told that they have it, and nobody gave it back. */
function toldTwice(history: History): string[] {
  const gaveBack = new Set(history.releases.map(({ job }) => job));
  const winners = Map.groupBy(
    history.taps.filter(({ outcome }) => outcome === 'won'),
    ({ job }) => job,
  );
  return [...winners]
    .map(([job, taps]) => [job, new Set(taps.map(({ driver }) => driver))] as const)
    .filter(([job, drivers]) => drivers.size > 1 && !gaveBack.has(job))
    .map(([job, drivers]) => `${job}: ${[...drivers].join(' and ')} were told that they have it`);
}

/** Held in the row, unless the record says how it ended. */
function stillHis(list: readonly EventRow[], row: JobTruth | undefined, driver: string): boolean {
  const after = list.slice(
    list.findIndex((e) => e.type === 'job.accepted' && e.driver_id === driver) + 1,
  );
  if (after.some(({ type }) => type === 'job.released' || type === 'job.cancelled')) return true;
  return row?.status === 'accepted' && row.driver_id === driver;
}

/** Customers of accepted jobs without the notification, or whose push has no outcome. */
async function untold(sql: postgres.Sql): Promise<string[]> {
  const rows = await sql<{ job_id: string; version: number; note: string | null }[]>`
    select e.job_id, e.version, n.id as note
    from job_events e
    left join notifications n on n.job_id = e.job_id and n.version = e.version
      and n.type = 'driver_assigned'
    left join push_attempts a on a.notification_id = n.id and a.outcome in ('sent', 'unknown')
    where e.type = 'job.accepted'
    group by e.job_id, e.version, n.id
    having n.id is null or count(a.id) = 0`;
  return rows.map(({ job_id, version, note }) => {
    return `${job_id} version ${version}: ${note === null ? 'no notification' : 'no push'}`;
  });
}
