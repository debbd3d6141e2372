/**
 * The truth may go back: an older dump was restored, or a failover lost its tail. What Redis held of a job was
 * committed before; so a row that is read *after* Redis, and is older, proves it. Then the row wins, under a
 * version above what Redis held, so that clients take it. If the new primary has used a version again for
 * something else, the time at which it was written gives it away. A job whose row is gone is forgotten.
 */

import { type Resources, TryAgainError } from '../context.ts';
import { isClaimable, type JobRow } from '../domain/job.ts';
import { transition } from '../jobs/transition.ts';
import type { Db } from '../pg/client.ts';
import { sql } from '../pg/drizzle.ts';
import { findJobs } from '../pg/jobs.ts';
import { runIdOf } from '../redis/client.ts';
import { forgetJob, type HeldJob, type JobPlace, readHeldJobs } from '../redis/held-jobs.ts';
import { keys } from '../redis/keys.ts';
import { pipelined } from '../redis/pipelines.ts';
import { inTime, refusalsOf } from './put.ts';
import { tellWentBack } from './tell.ts';

/**
 * Added to the version of an open job that Redis has lost, since nobody knows which versions clients were
 * shown: no job changes that often while it is on a screen.
 */
const UNSEEN_VERSIONS = 1000;

export interface Comparison {
  /** The rows as they are now. */
  rows: JobRow[];
  /** Rows that were raised above what Redis holds, and must be put. */
  raised: JobRow[];
  /** Jobs removed from Redis because their rows are gone, as Redis held them. */
  gone: (JobPlace & HeldJob)[];
}

type Stores = Pick<Resources, 'db' | 'redis' | 'metrics'>;

interface Looked {
  job: JobPlace;
  held: HeldJob | null;
  row: JobRow | undefined;
  /** The version that its row must be above; null when nothing is wrong with it. */
  above: number | null;
  isGone: boolean;
}

/**
 * Compares what Redis holds of these jobs with their rows, and raises rows that are behind; if Postgres went
 * back, everybody is told. `filledUnder`: the run id under which Redis was filled with every open job of these
 * zones, so that a missing job was lost; null if it was not filled.
 */
export async function compareJobs(
  stores: Stores,
  jobs: readonly JobPlace[],
  filledUnder: string | null = null,
): Promise<Comparison> {
  const isComplete = filledUnder !== null;
  const looked = await look(stores, jobs, isComplete);
  const isWrong = ({ above, isGone }: Looked) => above !== null || isGone;
  const suspects = looked.filter(isWrong).map(({ job }) => job);
  const rows = new Map(looked.flatMap(({ row }) => (row ? [[row.id, row] as const] : [])));
  if (suspects.length === 0) return { rows: [...rows.values()], raised: [], gone: [] };
  // Jobs change meanwhile: a real difference is still there at a second look.
  const again = (await look(stores, suspects, isComplete)).filter(isWrong);
  if (isComplete && filledUnder !== runIdOf(stores.redis)) {
    throw new TryAgainError('Redis was started again meanwhile');
  }
  const raised = await raise(stores, again);
  for (const row of raised) rows.set(row.id, row);
  const ghosts = again.filter(({ isGone }) => isGone);
  // Tell before forgetting: if anything fails from here on, the next comparison finds and tells them again.
  if (raised.length + ghosts.length > 0) {
    const told = ghosts.flatMap(({ job, held }) => (held ? [{ ...job, ...held }] : []));
    await tellWentBack(stores.redis, told);
  }
  const gone: Comparison['gone'] = [];
  for (const { job, held } of ghosts) {
    const version = held?.version ?? 0;
    if ((await forgetJob(stores.redis, { ...job, version })) && held)
      gone.push({ ...job, ...held });
  }
  if (raised.length > 0) stores.metrics.reconciled('job_raised', raised.length);
  if (gone.length > 0) stores.metrics.reconciled('job_forgotten', gone.length);
  return { rows: [...rows.values()], raised, gone };
}

/** Redis is read first: whatever it holds then is in Postgres by now. */
async function look(
  { db, redis }: Stores,
  jobs: readonly JobPlace[],
  isComplete: boolean,
): Promise<Looked[]> {
  const held = await readHeldJobs(redis, jobs);
  const found = await inTime(
    findJobs(
      db,
      jobs.map(({ id }) => id),
    ),
  );
  const rows = new Map(found.map((row) => [row.id, row]));
  const refusing = jobs.flatMap(({ id }, i) => {
    const row = rows.get(id);
    return row && (held[i]?.refused.length ?? 0) > 0 ? [row] : [];
  });
  const refusals = await refusalsOf({ db }, refusing);
  return jobs.map((job, i) => {
    const [row, has] = [rows.get(job.id), held[i] ?? null];
    const refused = new Set((refusals.get(job.id) ?? []).map(([driver]) => driver));
    const above = row ? floorOf(row, has, refused, isComplete) : null;
    return { job, held: has, row, above, isGone: !row && has?.state !== 'gone' };
  });
}

/** The version that this row must exceed because Redis holds something else; null if it does not. */
function floorOf(
  row: JobRow,
  held: HeldJob | null,
  refused: ReadonlySet<string>,
  isComplete: boolean,
): number | null {
  if (!held) {
    const isLost = isComplete && isClaimable(row.status) && row.settledVersion === row.version;
    return isLost ? row.version + UNSEEN_VERSIONS : null;
  }
  if (held.version < row.version) return null;
  return held.version === row.version && isSame(row, held, refused) ? null : held.version;
}

/** Do both hold the same content under their common version? */
function isSame(row: JobRow, held: HeldJob, refused: ReadonlySet<string>): boolean {
  return (
    held.state !== 'gone' &&
    held.status === row.status &&
    held.driverId === row.driverId &&
    (held.updatedAt === null || held.updatedAt === row.updatedAt) &&
    // A refusal is in Postgres before Redis hears of it.
    (!isClaimable(row.status) || held.refused.every((driver) => refused.has(driver)))
  );
}

/** When the job is put again, only its rows tell who refused it. */
async function raise({ db, redis }: Stores, looked: readonly Looked[]): Promise<JobRow[]> {
  const floors = looked.flatMap(({ job, above }) =>
    above === null ? [] : [{ id: job.id, above }],
  );
  if (floors.length === 0) return [];
  const raised = await inTime(raiseRows(db, floors));
  const open = raised.filter(({ status }) => isClaimable(status));
  const keyOf = ({ zone, id }: JobRow) => keys.declined(zone, id);
  await pipelined(redis, open, keyOf, (pipeline, row) => pipeline.del(keyOf(row)));
  return raised;
}

/** Rows that are above already are left alone. Rows are locked in one order. */
function raiseRows(db: Db, floors: readonly { id: string; above: number }[]): Promise<JobRow[]> {
  const list = floors.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  return transition(db, {
    target: sql`
      select job.*, held.above
      from jsonb_to_recordset(${JSON.stringify(list)}::text::jsonb) as held(id text, above int)
      cross join lateral (select * from jobs where id = held.id offset 0 for update) job
      where job.version <= held.above`,
    above: sql`target.above`,
    event: { type: 'job.resynced', actor: 'muster', reason: RESYNCED },
  });
}

/** The cause of a skipped version, as the timeline says it. */
const RESYNCED = 'PostgreSQL had gone back behind what Redis knew';
