/** Waves in Postgres: one row a wave, candidates in order of distance. */
import { sql } from 'drizzle-orm';
import type { DeviceToken } from '../domain/push.ts';
import type { Db } from './client.ts';
import { CLAIMABLE_SQL, type RowOf } from './jobs.ts';

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

/** How many candidates of a wave are to be pushed. */
export async function countCandidates(db: Db, jobId: string, wave: number): Promise<number> {
  const [row] = await db.execute<{ count: number }>(sql`
    select cardinality(candidate_ids) as count from job_waves
    where job_id = ${jobId} and wave = ${wave}::int`);
  return row?.count ?? 0;
}

/** An offer is not pushed later than this after its wave opened. */
const PUSH_LIFE_S = 600;

export interface WavePhone extends DeviceToken {
  /** Its driver was pushed this wave before. */
  pushed: boolean;
}

/**
 * The phones of a wave's candidates `from` … `from + count - 1`, nearest first; none of who is not
 * offered the job any more: he refused it, or may not work. None at all when the wave is old news.
 */
export async function listWavePhones(
  db: Db,
  jobId: string,
  wave: number,
  { from, count }: { from: number; count: number },
): Promise<WavePhone[]> {
  return db.execute<RowOf<WavePhone>>(sql`
    select t.token, t.user_id as "userId", t.environment, m.driver_id is not null as pushed
    from job_waves w
      cross join unnest(w.candidate_ids[${from + 1}::int : ${from + count}::int])
        with ordinality as c(id, place)
      -- "offset 0": looked up for each driver, never all phones of the app read and compared.
      cross join lateral (
        select * from device_tokens where user_id = c.id and app = 'driver' offset 0) t
      left join push_marks m on m.job_id = w.job_id and m.wave = w.wave and m.driver_id = c.id
    where w.job_id = ${jobId} and w.wave = ${wave}::int
      and w.opened_at > now() - make_interval(secs => ${PUSH_LIFE_S}::float8)
      and not exists (select from job_refusals r where r.job_id = w.job_id and r.driver_id = c.id)
      and not exists (select from drivers d where d.id = c.id
        and not (d.online and d.approval_status = 'approved' and not d.is_operator))
    order by c.place, t.registered_at`);
}

/** Waves of open jobs that nobody dispatched for a while; of one that is reserved none is. */
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

/** Which chunks of a wave's candidates, by their first position, are done with. */
export async function listChunksDone(db: Db, jobId: string, wave: number): Promise<Set<number>> {
  const rows = await db.execute<{ done: number[] }>(sql`
    select to_jsonb(chunks_done) as done from job_waves where job_id = ${jobId} and wave = ${wave}::int`);
  return new Set(rows[0]?.done ?? []);
}

/**
 * The chunk that begins at `from` is done with, after the last the wave is; null when none is left.
 * Chunks that were cut otherwise, by another version, do not count.
 */
export async function markPushed(
  db: Db,
  jobId: string,
  wave: number,
  { from, chunkSize }: { from: number | null; chunkSize: number },
): Promise<void> {
  await db.execute(sql`
    with done as (
      select array(select distinct unnest(array_append(chunks_done, ${from}::int))) as all_done
      from job_waves where job_id = ${jobId} and wave = ${wave}::int for update)
    update job_waves set chunks_done = array_remove(done.all_done, null),
      pushed_at = case when not exists (
          select from generate_series(0, cardinality(candidate_ids) - 1, ${chunkSize}::int) as start
          where start <> all (array_remove(done.all_done, null)))
        then coalesce(pushed_at, now()) end
    from done where job_id = ${jobId} and wave = ${wave}::int`);
}
/**
 * One handed over longer ago opened even earlier. Said of the indexed column, so that waves whose push
 * never ended are not read for ever.
 */
const HANDED_OVER_S = PUSH_LIFE_S + 60;

/**
 * Waves of open jobs whose push task was handed over a while ago and is not done: lost, or slow.
 * They are listed again after the same while.
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
        and w.dispatched_at > now() - make_interval(secs => ${HANDED_OVER_S}::float8)
        and w.opened_at > now() - make_interval(secs => ${PUSH_LIFE_S}::float8)
        and w.pushed_at is null and j.status in ${CLAIMABLE_SQL} and j.wave = w.wave
      order by w.dispatched_at limit ${limit}::int)
    returning job_id as "jobId", wave`);
}

/** A gateway's deliveries: to which drivers' sockets each job went. */
export async function saveDeliveries(
  db: Db,
  deliveries: readonly { jobId: string; driverIds: readonly string[] }[],
): Promise<void> {
  await db.execute(sql`
    insert into job_deliveries (job_id, driver_ids)
    select value->>'jobId', array(select jsonb_array_elements_text(value->'driverIds'))
    from jsonb_array_elements(${JSON.stringify(deliveries)}::text::jsonb)`);
}
