/** Waves in Postgres: one row a wave, candidates in order of distance. */

import type { DeviceToken } from '../domain/push.ts';
import type { Db } from './client.ts';
import { sql } from './drizzle.ts';
import { CLAIMABLE_SQL, type RowOf } from './jobs.ts';
import type { LedgerRow, WindowKey } from './push-ledger.ts';

export interface Candidate {
  driverId: string;
  km: number;
}

/** Freezes a wave's candidates, once. */
export async function saveCandidates(
  db: Db,
  jobId: string,
  wave: number,
  candidates: readonly Candidate[],
  count: number,
): Promise<void> {
  await db.execute(sql`
    update job_waves set chosen_at = now(), candidate_count = ${count}::int,
      candidate_ids = array(select value->>'driverId'
        from jsonb_array_elements(${JSON.stringify(candidates)}::text::jsonb)),
      candidate_km = array(select (value->>'km')::float8
        from jsonb_array_elements(${JSON.stringify(candidates)}::text::jsonb))
    where job_id = ${jobId} and wave = ${wave}::int and chosen_at is null`);
}

export interface WaveState {
  chosen: boolean;
  dispatched: boolean;
}

/** How far a wave has come; null for a wave that does not exist. */
export async function findWave(db: Db, jobId: string, wave: number): Promise<WaveState | null> {
  const [row] = await db.execute<RowOf<WaveState>>(sql`
    select chosen_at is not null as chosen, dispatched_at is not null as dispatched
    from job_waves where job_id = ${jobId} and wave = ${wave}::int`);
  return row ?? null;
}

/** The wave's push task is enqueued. */
export async function markDispatched(db: Db, jobId: string, wave: number): Promise<void> {
  await db.execute(sql`
    update job_waves set dispatched_at = coalesce(dispatched_at, now())
    where job_id = ${jobId} and wave = ${wave}::int`);
}

/**
 * From now on a wave is pushed by windows, and not by the version before, which marks drivers: waits for
 * marks that are not committed yet, and later ones are refused. Returns how many candidates the wave has,
 * or null when there is no such wave.
 */
export async function openPushes(db: Db, jobId: string, wave: number): Promise<number | null> {
  const [row] = await db.execute<{ count: number }>(sql`
    with opened as (
      update job_waves set windowed = true
      where job_id = ${jobId} and wave = ${wave}::int and not windowed)
    select cardinality(candidate_ids) as count from job_waves
    where job_id = ${jobId} and wave = ${wave}::int`);
  return row?.count ?? null;
}

/** Candidates of one window of pushes; the view `pushes` knows it as well. */
export const WINDOW_PLACES = 100;
/** An offer is not pushed later than this after its wave opened. */
const PUSH_LIFE_S = 600;

/** A candidate's phone; `place`: the candidate's place in the window. */
export interface WavePhone extends DeviceToken {
  place: number;
}

/**
 * The phones of the candidates in a window, nearest first, and the row of its pushes, if there is one.
 * Without drivers who are no longer offered the job (they refused it, or may not work), and without those
 * whom the version before has pushed. None at all when the wave is old news.
 */
export async function readWindow(
  db: Db,
  { jobId, wave, firstPlace }: WindowKey,
): Promise<{ phones: WavePhone[]; row: LedgerRow | null }> {
  const [found] = await db.execute<{
    phones: [number, string, string, DeviceToken['environment']][];
    row: LedgerRow | null;
  }>(sql`
    select
      (select to_jsonb(r) from push_windows r
        where r.job_id = w.job_id and r.wave = w.wave and r.first_place = ${firstPlace}::int) as row,
      (select coalesce(jsonb_agg(
          jsonb_build_array(c.place - 1, c.id, t.token, t.environment)
          order by c.place, t.registered_at), '[]')
        from unnest(w.candidate_ids[${firstPlace + 1}::int : ${firstPlace + WINDOW_PLACES}::int])
          with ordinality as c(id, place)
        -- "offset 0": looked up for each driver, never all phones of the app read and compared.
        cross join lateral (
          select * from device_tokens where user_id = c.id and app = 'driver' offset 0) t
        where w.opened_at > now() - make_interval(secs => ${PUSH_LIFE_S}::float8)
          and not exists (select from push_marks m
            where m.job_id = w.job_id and m.wave = w.wave and m.driver_id = c.id)
          and not exists (select from job_refusals r
            where r.job_id = w.job_id and r.driver_id = c.id)
          and not exists (select from drivers d where d.id = c.id
            and not (d.online and d.approval_status = 'approved' and not d.is_operator))
      ) as phones
    from job_waves w where w.job_id = ${jobId} and w.wave = ${wave}::int`);
  const phones = found?.phones.map(([place, userId, token, environment]) => {
    return { place, userId, token, environment };
  });
  return { phones: phones ?? [], row: found?.row ?? null };
}

/** Waves of open jobs that nobody dispatched for a while; reserved jobs have no wave to dispatch. */
export async function listUndispatched(
  db: Db,
  olderThanMs: number,
  limit: number,
): Promise<{ jobId: string; wave: number }[]> {
  return db.execute<RowOf<{ jobId: string; wave: number }>>(sql`
    select w.job_id as "jobId", w.wave from job_waves w join jobs j on j.id = w.job_id
    where w.dispatched_at is null
      and w.opened_at < now() - make_interval(secs => ${olderThanMs}::float8 / 1000)
      and j.status in ${CLAIMABLE_SQL} and j.status <> 'assigned' and j.wave = w.wave
    order by w.opened_at limit ${limit}::int`);
}

/** Every window of the wave is done. */
export async function markPushed(db: Db, jobId: string, wave: number): Promise<void> {
  await db.execute(sql`
    update job_waves set pushed_at = coalesce(pushed_at, now())
    where job_id = ${jobId} and wave = ${wave}::int`);
}

/**
 * A wave enqueued longer ago opened even earlier. A condition on the indexed column, so that waves whose
 * push never ended are not read for ever.
 */
const ENQUEUED_S = PUSH_LIFE_S + 60;

/**
 * Waves of open jobs whose push task was enqueued a while ago and is not done: lost, or slow.
 * Each is listed again only after the same while.
 */
export async function takeUnpushed(
  db: Db,
  olderThanMs: number,
  limit: number,
): Promise<{ jobId: string; wave: number }[]> {
  return db.execute<RowOf<{ jobId: string; wave: number }>>(sql`
    update job_waves set dispatched_at = now()
    where (job_id, wave) in (
      select w.job_id, w.wave from job_waves w join jobs j on j.id = w.job_id
      where w.dispatched_at < now() - make_interval(secs => ${olderThanMs}::float8 / 1000)
        and w.dispatched_at > now() - make_interval(secs => ${ENQUEUED_S}::float8)
        and w.opened_at > now() - make_interval(secs => ${PUSH_LIFE_S}::float8)
        and w.pushed_at is null and j.status in ${CLAIMABLE_SQL} and j.wave = w.wave
      order by w.dispatched_at limit ${limit}::int)
    returning job_id as "jobId", wave`);
}
