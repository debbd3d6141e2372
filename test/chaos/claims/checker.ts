/**
 * Reads what the clients were told, and when, against what Postgres says happened and what their
 * phones showed. Every rule that does not hold is a sentence with the job and the drivers concerned.
 */
import type postgres from 'postgres';
import type { Phones } from '../../../scripts/apns-simulator/phones.ts';
import type { EndRecord, History, TapRecord } from './load.ts';

interface EventRow {
  job_id: string;
  type: string;
  version: number;
  driver_id: string | null;
  /** Epoch ms at which its statement began: it was committed later. */
  at: number;
}
interface JobTruth {
  id: string;
  status: string;
  driver_id: string | null;
}

/** One driver had one job from when to when; both are as wide as the record and the clients allow. */
interface Holding {
  driver: string;
  from: number;
  /** Who ended it was told so by then: a later answer cannot know of it still. */
  to: number;
  /**
   * The job was cancelled under him. It is gone for everybody, and its customer is told so without waiting for
   * Redis; until Redis has heard, a tap is refused because the job is taken.
   */
  cancelled: boolean;
}

export interface Verdict {
  won: number;
  doubles: string[];
  lost: string[];
  stuck: string[];
  untrue: string[];
  untold: string[];
}

export async function check(sql: postgres.Sql, history: History, phones: Phones): Promise<Verdict> {
  const events = await sql<EventRow[]>`
    select job_id, type, version, driver_id, floor(extract(epoch from at) * 1000)::float8 as at
    from job_events order by job_id, version, id`;
  const rows = await sql<JobTruth[]>`select id, status, driver_id from jobs`;
  const byJob = Map.groupBy(events, (event) => event.job_id);
  const truth = new Map(rows.map((row) => [row.id, row]));
  const taps = Map.groupBy(history.taps, (tap) => tap.job);
  const ends = Map.groupBy(history.ends, (end) => end.job);
  const verdict: Verdict = {
    won: history.taps.filter(({ outcome }) => outcome === 'won').length,
    doubles: [],
    lost: [],
    stuck: [],
    untrue: [],
    untold: await untold(sql, phones),
  };
  for (const job of history.jobs) {
    const row = truth.get(job);
    if (!row) {
      verdict.lost.push(`${job} was posted and is gone`);
      continue;
    }
    const record = byJob.get(job) ?? [];
    const { holdings, doubles } = holdingsOf(record, ends.get(job) ?? []);
    verdict.doubles.push(...doubles);
    verdict.lost.push(...endedUnasked(record, ends.get(job) ?? []), ...rowDiffers(row, holdings));
    for (const tap of taps.get(job) ?? []) judge(tap, record, holdings, verdict);
  }
  return verdict;
}

/** Who had the job in turn; and where it was accepted while somebody held it. */
function holdingsOf(
  record: readonly EventRow[],
  ends: readonly EndRecord[],
): { holdings: Holding[]; doubles: string[] } {
  const holdings: Holding[] = [];
  const doubles: string[] = [];
  let open: Holding | null = null;
  for (const { job_id, type, driver_id, at } of record) {
    if (type === 'job.accepted') {
      if (open) doubles.push(`${job_id}: accepted by ${driver_id} while ${open.driver} held it`);
      open = {
        driver: driver_id ?? '',
        from: at,
        to: Number.POSITIVE_INFINITY,
        cancelled: false,
      };
      holdings.push(open);
    } else if (open && (type === 'job.released' || type === 'job.cancelled')) {
      const by = type === 'job.released' ? driver_id : null;
      const told = ends.filter((end) => end.driver === by).map((end) => end.answeredAt);
      open.to = Math.max(at, ...told);
      open.cancelled = type === 'job.cancelled';
      open = null;
    }
  }
  return { holdings, doubles };
}

/** Given back or cancelled, and it was nobody's wish. */
function endedUnasked(record: readonly EventRow[], ends: readonly EndRecord[]): string[] {
  return record
    .filter(({ type, driver_id }) => {
      if (type !== 'job.released' && type !== 'job.cancelled') return false;
      return !ends.some((end) => end.driver === (type === 'job.released' ? driver_id : null));
    })
    .map(({ job_id, type, driver_id }) => `${job_id}: ${type} of ${driver_id}, whom nobody asked`);
}

/** The row says who holds the job, and so does the record. */
function rowDiffers(row: JobTruth, holdings: readonly Holding[]): string[] {
  const last = holdings.at(-1);
  const holder = last?.to === Number.POSITIVE_INFINITY ? last.driver : null;
  const inRow = row.status === 'accepted' ? row.driver_id : null;
  if (holder === inRow) return [];
  return [`${row.id}: the row says ${row.status} by ${row.driver_id}, the record ${holder}`];
}

/** What a driver was told must have been so at some moment between his question and the answer. */
function judge(
  tap: TapRecord,
  record: readonly EventRow[],
  holdings: readonly Holding[],
  verdict: Verdict,
): void {
  const { job, driver, askedAt, answeredAt, outcome } = tap;
  const meanwhile = holdings.filter(({ from, to }) => from <= answeredAt && to >= askedAt);
  const happened = (type: string, by?: string) =>
    record.some((e) => e.type === type && e.at <= answeredAt && (!by || e.driver_id === by));
  const asked = `${driver} asked at ${askedAt} and was told ${outcome} at ${answeredAt}`;
  const events = record.map(({ type, at, driver_id }) => `${type} ${driver_id ?? '-'} ${at}`);
  const said = `${job}: ${asked}; held ${JSON.stringify(holdings)}; record ${events.join(', ')}`;
  switch (outcome) {
    // He was told nothing.
    case 'gave up':
      return;
    case 'unanswered':
      verdict.stuck.push(`${job}: ${driver} has no answer`);
      return;
    case 'won':
      if (meanwhile.some((holding) => holding.driver === driver)) return;
      if (holdings.some((holding) => holding.driver === driver)) verdict.doubles.push(said);
      else verdict.lost.push(said);
      return;
    case 'already_accepted':
      if (meanwhile.some((holding) => holding.driver !== driver)) return;
      if (holdings.some((h) => h.cancelled && h.driver !== driver && h.from <= answeredAt)) return;
      verdict.untrue.push(said);
      return;
    case 'job_cancelled':
      if (!happened('job.cancelled')) verdict.untrue.push(said);
      return;
    case 'released':
      if (!happened('job.released', driver)) verdict.untrue.push(said);
      return;
    default:
      verdict.untrue.push(said);
  }
}

/** Customers whose job was taken or given back, and who have no notification or never saw it. */
async function untold(sql: postgres.Sql, phones: Phones): Promise<string[]> {
  const rows = await sql<
    { job_id: string; version: number; type: string; note: string | null; token: string | null }[]
  >`
    select e.job_id, e.version, e.type, n.id as note, t.token
    from job_events e
    join jobs j on j.id = e.job_id
    left join notifications n on n.job_id = e.job_id and n.version = e.version
      and n.user_id = j.customer_id and n.app = 'customer'
      and n.type = case e.type when 'job.accepted' then 'driver_assigned' else 'job_released' end
    left join device_tokens t on t.user_id = j.customer_id and t.app = 'customer'
    where e.type in ('job.accepted', 'job.released')`;
  // A notice that a newer one of the same job has overtaken is not sent any more.
  const newest = new Map<string, number>();
  for (const { token, status, payload } of phones.records()) {
    if (status !== 200) continue;
    const { job_id, version } = payload as { job_id: string; version: number };
    const key = `${token} ${job_id}`;
    newest.set(key, Math.max(version, newest.get(key) ?? 0));
  }
  return rows
    .filter(({ job_id, version, note, token }) => {
      return note === null || (newest.get(`${token} ${job_id}`) ?? 0) < version;
    })
    .map(({ job_id, version, type, note }) => {
      return `${job_id} version ${version}, ${type}: ${note ? 'not on his phone' : 'no notification'}`;
    });
}
