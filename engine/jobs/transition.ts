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

/** The driver whom a part is about: the one who held the job before, or holds it by the new row. */
export type Party = 'before' | 'after';

export interface Transition {
  /** A query for the rows to change, locked: all columns of `jobs`, and what `set` refers to. */
  target: SQL;
  /** Assignments besides version and time; `target` is the row before. */
  set?: readonly SQL[];
  /** A number that the new version must exceed, besides the row's own. */
  above?: SQL;
  event: {
    /** Its name in the timeline. */
    type: string;
    /** By default the driver who holds the job by the new row. */
    actor?: Actor;
    reason?: string | null;
    /** Which driver the event names; by default `after`. */
    driver?: Party;
  };
  /** A new wave opens, with the radius that the row has now. */
  opensWave?: boolean;
  /** The driver before must not see the job again. */
  refusal?: Refusal;
  /** A driver whose earlier refusal of the job is forgiven. */
  forgiven?: string;
  notifications?: readonly { type: NotificationType; app: App }[];
  /**
   * The driver whose number of jobs changes: his rev moves, because with a job limit that number decides
   * what he is offered. Left out where there is no limit.
   */
  load?: Party;
  /** The driver after has completed one more job. */
  completed?: boolean;
}

/** Applies the change and returns the new rows; a missing row had moved on, or was locked. */
export async function transition(db: Pick<Db, 'execute'>, t: Transition): Promise<JobRow[]> {
  return db.execute<RowOf<JobRow>>(statementOf(t));
}

/** The target of a change decided on this row: the row, unless somebody was faster. */
export function rowAt(row: JobRow): SQL {
  return sql`select * from jobs
    where id = ${row.id} and version = ${row.version}::int and status = ${row.status} for update`;
}

/** What a new wave changes in its job: number, radius, and when the wave after it is due. */
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

/** No notification without a recipient: cancelling a job without a driver tells no driver. */
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
