/**
 * The only versioned write of a job: claims, changes, expiries and fences are all made of these parts,
 * in one statement that writes the rows, their events, waves, refusals and notifications together.
 * A transition is fenced by its target: rows that have moved on are not in it.
 */

import type { Actor, JobRow } from '../domain/job.ts';
import { type App, type NotificationType, textOf } from '../domain/notifications.ts';
import type { Refusal } from '../domain/visibility.ts';
import type { Db } from '../pg/client.ts';
import { type SQL, sql } from '../pg/drizzle.ts';
import { JOB_COLUMNS, type RowOf } from '../pg/jobs.ts';

/** The driver whom a part is about: who held the job before, or who holds it by the new row. */
export type Party = 'before' | 'after';

export interface Transition {
  /** A query for the rows that change, locked: all columns of `jobs`, and what `set` refers to. */
  target: SQL;
  /** Assignments besides version and time; `target` is the row before. */
  set?: readonly SQL[];
  /** The new version is above this number as well as above the row's own. */
  above?: SQL;
  event: {
    /** Its name in the timeline. */
    type: string;
    /** Left out: the driver who holds the job by the new row. */
    actor?: Actor;
    reason?: string | null;
    /** Whom the event names; left out: `after`. */
    driver?: Party;
  };
  /** A new wave opens, with the radius that the row has now. */
  opensWave?: boolean;
  /** The driver before must not see the job again. */
  refusal?: Refusal;
  /** A driver whose earlier refusal of the job is over. */
  forgiven?: string;
  notifications?: readonly { type: NotificationType; app: App }[];
  /**
   * The driver whose number of jobs changed: his rev moves, because with a job limit it decides what he
   * is offered. Left out where there is no limit.
   */
  load?: Party;
  /** The driver after has completed one more job. */
  completed?: boolean;
}

/** Applies the change and returns the new rows; a row that is missing had moved on, or was locked. */
export async function transition(db: Pick<Db, 'execute'>, t: Transition): Promise<JobRow[]> {
  return db.execute<RowOf<JobRow>>(statementOf(t));
}

/** The target of a change that was decided by this row: nobody was faster. */
export function rowAt(row: JobRow): SQL {
  return sql`select * from jobs
    where id = ${row.id} and version = ${row.version}::int and status = ${row.status} for update`;
}

/** What a wave changes of its job: the next number, its radius, and when the one after it is due. */
export function openWave(wave: {
  step: number;
  radiusKm: number;
  nextWaveS: number | null;
}): SQL[] {
  return [
    sql`wave = target.wave + 1, wave_step = ${wave.step}::int, radius_km = ${wave.radiusKm}::float8,
      next_wave_at = now() + make_interval(secs => ${wave.nextWaveS}::float8)`,
  ];
}

function statementOf(t: Transition): SQL {
  const before = t.above ? sql`greatest(job.version, ${t.above})` : sql`job.version`;
  const set = [sql`version = ${before} + 1, updated_at = now()`, ...(t.set ?? [])];
  const parts = [
    sql`target as (${t.target})`,
    sql`j as (
      update jobs job set ${sql.join(set, sql`, `)} from target where job.id = target.id
      returning job.*, target.driver_id as driver_before)`,
    eventPart(t.event),
    ...(t.opensWave ? [WAVE_PART] : []),
    ...(t.refusal ? [refusalPart(t.refusal, t.event.reason ?? null)] : []),
    ...(t.forgiven === undefined ? [] : [forgivenPart(t.forgiven)]),
    ...(t.notifications ?? []).map(notificationPart),
    ...(t.load || t.completed ? [driverPart(t)] : []),
  ];
  return sql`with ${sql.join(parts, sql`, `)} select ${JOB_COLUMNS} from j`;
}

const columnOf = (party: Party) => (party === 'before' ? sql`driver_before` : sql`driver_id`);

function eventPart({ type, actor, reason, driver }: Transition['event']): SQL {
  const by = actor === undefined ? sql`'driver:' || driver_id` : sql`${actor}::text`;
  return sql`event as (
    insert into job_events (job_id, type, version, status, driver_id, actor, reason)
    select id, ${type}::text, version, status, ${columnOf(driver ?? 'after')}, ${by},
      ${reason ?? null}::text
    from j)`;
}

const WAVE_PART = sql`wave as (
  insert into job_waves (job_id, wave, radius_km) select id, wave, radius_km from j
  on conflict do nothing)`;

function refusalPart(kind: Refusal, reason: string | null): SQL {
  return sql`refusal as (
    insert into job_refusals (job_id, driver_id, kind, reason)
    select id, driver_before, ${kind}::text, ${reason}::text from j
    on conflict (job_id, driver_id) do update set kind = excluded.kind, reason = excluded.reason)`;
}

function forgivenPart(driverId: string): SQL {
  return sql`forgiven as (
    delete from job_refusals
    where job_id in (select id from j) and driver_id = ${driverId}::text)`;
}

/** Nobody is told where there is nobody: a job without a driver cancels without a word to one. */
function notificationPart({ type, app }: { type: NotificationType; app: App }, i: number): SQL {
  const { title, body } = textOf(type);
  const user = app === 'customer' ? sql`customer_id` : sql`driver_before`;
  return sql`${sql.raw(`notification${i}`)} as (
    insert into notifications (user_id, app, job_id, version, type, title, body, data)
    select ${user}, ${app}::text, id, version, ${type}::text, ${title}::text,
      replace(${body}::text, '{address}', address),
      jsonb_build_object('job_id', id, 'type', 'job_update', 'version', version)
    from j where ${user} is not null on conflict do nothing)`;
}

function driverPart({ load, completed }: Transition): SQL {
  const set = [
    ...(load ? [sql`rev = rev + 1`] : []),
    ...(completed ? [sql`total_jobs = total_jobs + 1`] : []),
  ];
  const who = columnOf(load ?? 'after');
  return sql`driver as (
    update drivers set ${sql.join(set, sql`, `)} where id in (select ${who} from j))`;
}
