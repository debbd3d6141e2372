/**
 * The truth may go back: an older dump was restored, or a failover lost its tail. What Redis held of a job was
 * committed before; so a row that is read *after* Redis, and is older, proves it. Then the row wins, under a
 * version above what Redis held, so that clients take it. A version that says something else than its row,
 * which the new primary wrote once more, is found out by the time at which it was written. A job whose row is
 * gone is forgotten.
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
 * Redis has lost what it knew of an open job, so nobody knows which versions clients were shown: no job
 * changes so often while somebody looks at it.
 */
const UNSEEN_VERSIONS = 1000;

export interface Comparison {
  /** The rows as they are now. */
  rows: JobRow[];
  /** Those of them that were raised above what Redis holds, and are to be put. */
  raised: JobRow[];
  /** Jobs that Redis has forgotten since their rows are gone, as it held them. */
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
 * Compares what Redis holds of these jobs with their rows, and raises rows that are behind; whoever finds that
 * Postgres went back has everybody told. `filledUnder`: the run id under which Redis was filled with every
 * open job of these zones, so that it has lost what is missing; null where it was not.
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
  // Jobs change meanwhile: what is wrong is so at a second look as well.
  const again = (await look(stores, suspects, isComplete)).filter(isWrong);
  if (isComplete && filledUnder !== runIdOf(stores.redis)) {
    throw new TryAgainError('Redis was started again meanwhile');
  }
  const raised = await raise(stores, again);
  for (const row of raised) rows.set(row.id, row);
  const ghosts = again.filter(({ isGone }) => isGone);
  // Before they are forgotten: whatever fails from here on, the next comparison finds and tells them again.
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

/** The version that this row must be above, as Redis holds what the row is not; null when it does not. */
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

/** Is this what was written under the version that both have? */
function isSame(row: JobRow, held: HeldJob, refused: ReadonlySet<string>): boolean {
  return (
    held.state !== 'gone' &&
    held.status === row.status &&
    held.driverId === row.driverId &&
    (held.updatedAt === null || held.updatedAt === row.updatedAt) &&
    // A refusal is a row before Redis hears of it.
    (!isClaimable(row.status) || held.refused.every((driver) => refused.has(driver)))
  );
}

/** Who refused the job is told by its rows alone when it is put again. */
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

/** Rows that are above already are left alone. All are locked in one order. */
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

/** As the timeline gives the cause of a version that was skipped. */
const RESYNCED = 'PostgreSQL had gone back behind what Redis knew';
