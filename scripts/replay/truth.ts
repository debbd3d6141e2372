/**
 * What really happened, read after the play: every job and its pushes through the API as operator,
 * and the rows through SQL when a database is at hand. The invariants compare it with the history.
 */
import type postgres from 'postgres';
import { connectOnce } from '../../engine/pg/one-off.ts';
import type { Job } from '../client/protocol.ts';
import { type Caller, inPool } from './caller.ts';
import type { JobLife } from './ledger.ts';

/** Timelines are large: more at once would only fill memory on both sides. */
const READS_AT_ONCE = 16;
/** A push that has not gone out by then counts as missing. The critical lane repeats within seconds. */
const PUSH_MAX_MS = 60_000;
/** Doubled each time, so that polling does not slow down the workers. */
const PUSH_AGAIN_MS = 500;
/** Rows asked for in one statement. */
const IDS_PER_QUERY = 1000;

export interface JobState {
  status: string;
  driverId: string | null;
}

export interface JobPushes {
  /** 'Driver Assigned' to the customer, as APNs accepted it. */
  customerSent: number;
  /** The same, whatever came of it. */
  customerAttempts: number;
  attempts: number;
  sent: number;
  /** Phones of drivers pushed again in the same wave: `user/wave`. */
  driverRepeats: string[];
  /** Drivers pushed after the job was claimed; a few may be in flight at that moment. */
  afterClaim: number;
  /** The workers have no APNs credentials, so nothing can be sent. */
  withoutCredentials: boolean;
}

export interface JobTruth {
  api: JobState | null;
  /** Undefined without a database, null when it has no such row. */
  sql: JobState | null | undefined;
  pushes: JobPushes;
  /**
   * From the claim until APNs had answered the last push to a driver: 0 when all were out before, null
   * when nobody was pushed, nobody claimed, or there is no database.
   */
  claimToLastPushMs: number | null;
}

/** One event of the timeline, as operators see it. */
export interface TimelineEvent {
  type: string;
  at: string;
  user_id?: string;
  role?: string;
  kind?: string;
  wave?: number;
  token_suffix?: string;
  outcome?: string;
  reason?: string;
}

/** Notes the truth about each job with an id in the ledger. */
export async function readTruth(
  caller: Caller,
  operator: string,
  sql: postgres.Sql | null,
  lives: readonly JobLife[],
): Promise<void> {
  const rows = sql ? await readRows(sql, lives) : null;
  await inPool(lives, READS_AT_ONCE, async (life) => {
    if (life.id === null) return;
    const sql = rows ? (rows.get(life.id) ?? null) : undefined;
    // Jobs that cannot be read stay unknown, and the invariants say so.
    const read = await readJob(caller, operator, life.id).catch(() => null);
    if (read) life.truth = { ...read, sql, claimToLastPushMs: null };
  });
  await awaitPushes(caller, operator, lives);
  const lastPushes = sql ? await readLastPushes(sql, lives) : new Map<string, number>();
  for (const life of lives) {
    if (life.truth) life.truth.claimToLastPushMs = lastPushes.get(life.id ?? '') ?? null;
  }
}

/** Counts the pushes in a timeline. */
export function countPushes(events: readonly TimelineEvent[]): JobPushes {
  const claimedAt = events.find((event) => event.type === 'job.accepted')?.at;
  const pushes = events.filter((event) => event.type === 'push.attempted');
  const toCustomer = pushes.filter((push) => push.kind === 'driver_assigned');
  const toDrivers = pushes.filter((push) => push.role === 'driver' && push.wave !== undefined);
  const seen = new Set<string>();
  const driverRepeats: string[] = [];
  for (const push of toDrivers) {
    const key = `${push.user_id}/${push.token_suffix}/${push.wave}`;
    if (seen.has(key)) driverRepeats.push(`${push.user_id}/${push.wave}`);
    seen.add(key);
  }
  return {
    customerSent: toCustomer.filter((push) => push.outcome === 'sent').length,
    customerAttempts: toCustomer.length,
    attempts: pushes.length,
    sent: pushes.filter((push) => push.outcome === 'sent').length,
    driverRepeats,
    afterClaim: claimedAt === undefined ? 0 : toDrivers.filter(after(claimedAt)).length,
    withoutCredentials: pushes.some((push) => push.reason === 'no_credentials'),
  };
}

/** Statuses in which a job is, or was to its end, one driver's. */
export function isTaken(state: JobState | null | undefined): boolean {
  const taken = ['accepted', 'en_route', 'arrived', 'started', 'completed'];
  return !!state && taken.includes(state.status);
}

const after = (time: string) => (event: TimelineEvent) => Date.parse(event.at) > Date.parse(time);

async function readJob(
  caller: Caller,
  operator: string,
  id: string,
): Promise<Pick<JobTruth, 'api' | 'pushes'>> {
  const call = { method: 'GET', path: `/api/jobs/${id}` } as const;
  const job = (await caller.call('operator', operator, call)) as Job;
  const api = { status: job.status, driverId: job.driver_id };
  return { api, pushes: await readPushes(caller, operator, id) };
}

async function readPushes(caller: Caller, operator: string, id: string): Promise<JobPushes> {
  const path = `/api/jobs/${id}/timeline`;
  const body = await caller.call('operator', operator, { method: 'GET', path });
  return countPushes((body as { events: TimelineEvent[] }).events);
}

/** The workers may still be busy: reads again the jobs whose customer was not pushed yet. */
async function awaitPushes(
  caller: Caller,
  operator: string,
  lives: readonly JobLife[],
): Promise<void> {
  const deadline = performance.now() + PUSH_MAX_MS;
  for (let pauseMs = PUSH_AGAIN_MS; ; pauseMs *= 2) {
    const missing = lives.filter(({ truth }) => truth && isTaken(truth.api) && isMissing(truth));
    if (missing.length === 0 || performance.now() > deadline) return;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
    await inPool(missing, READS_AT_ONCE, async ({ id, truth }) => {
      if (!truth || id === null) return;
      truth.pushes = await readPushes(caller, operator, id).catch(() => truth.pushes);
    });
  }
}

/** Where the workers have no credentials there is nothing to wait for. */
function isMissing({ pushes }: JobTruth): boolean {
  return pushes.customerSent === 0 && !pushes.withoutCredentials;
}

async function readRows(
  sql: postgres.Sql,
  lives: readonly JobLife[],
): Promise<Map<string, JobState>> {
  const ids = lives.flatMap((life) => life.id ?? []);
  const rows = new Map<string, JobState>();
  for (let i = 0; i < ids.length; i += IDS_PER_QUERY) {
    const part = await sql<{ id: string; status: string; driver_id: string | null }[]>`
      select id, status, driver_id from jobs
      where id = any(${ids.slice(i, i + IDS_PER_QUERY)}::text[])`;
    for (const row of part) rows.set(row.id, { status: row.status, driverId: row.driver_id });
  }
  return rows;
}

/** By job: ms from its claim until the last push to a driver was answered. */
export async function readLastPushes(
  sql: postgres.Sql,
  lives: readonly Pick<JobLife, 'id'>[],
): Promise<Map<string, number>> {
  const ids = lives.flatMap((life) => life.id ?? []);
  const times = new Map<string, number>();
  for (let i = 0; i < ids.length; i += IDS_PER_QUERY) {
    const part = await sql<{ id: string; ms: number }[]>`
      select claim.job_id as id,
        greatest(0, extract(epoch from push.answered_at - claim.at) * 1000)::float8 as ms
      from (
        select job_id, min(at) as at from job_events
        where job_id = any(${ids.slice(i, i + IDS_PER_QUERY)}::text[]) and type = 'job.accepted'
        group by job_id) claim
      join lateral (
        select max(at + coalesce(latency_ms, 0) * interval '1 millisecond') as answered_at
        from pushes
        where job_id = claim.job_id and lane = 'nearby' and outcome in ('sent', 'unknown')
      ) push on push.answered_at is not null`;
    for (const { id, ms } of part) times.set(id, ms);
  }
  return times;
}

/** A small pool for reading; close it with `end()`. Null without a URL. */
export function openDatabase(url: string | undefined): postgres.Sql | null {
  return url === undefined ? null : connectOnce(url, { max: 2, arrays: true });
}
