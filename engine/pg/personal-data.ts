/**
 * All that Postgres holds of one user, whatever his role: where it is, how it is exported and how it
 * is erased. Jobs and offers stay, under a made-up id and without his texts. Tables without an index
 * by user are read once from end to end: for `npm run export` and `npm run erase`, never for a call.
 */

import type { Db } from './client.ts';
import { type SQL, sql } from './drizzle.ts';
import { HELD_SQL } from './jobs.ts';

/** Replaces an erased address. */
const NO_ADDRESS = '(erased)';
/** Reading a large table from end to end may take a minute, longer than a call's statement may. */
const STATEMENT_TIMEOUT_MS = 10 * 60_000;
/** Nobody waits for these statements, so a row that somebody else locks for a moment need not end them. */
const LOCK_TIMEOUT_MS = 5000;

type Tx = Pick<Db, 'execute'>;

/** The rows of one table that are about a user. */
interface Holding {
  table: string;
  /** His rows. */
  where: (id: string) => SQL;
  /** The exported columns; by default all. Of others' jobs only what he did in them. */
  columns?: string;
  /** How rows are changed; by default they are deleted. */
  erase?: (id: string, pseudonym: string) => SQL;
  /** What he is known by: erased at the very end. */
  last?: true;
}

const ACTORS = ['driver', 'customer', 'operator', 'service', 'viewer'];
const actorsOf = (id: string) =>
  sql`(${sql.join(
    ACTORS.map((role) => sql`${`${role}:${id}`}`),
    sql`, `,
  )})`;
const renamed = (column: string, id: string, pseudonym: string) =>
  sql`${sql.raw(column)} = case when ${sql.raw(column)} = ${id} then ${pseudonym} else ${sql.raw(column)} end`;
const actorRenamed = (column: string, id: string, pseudonym: string) =>
  sql`${sql.raw(column)} = case when ${sql.raw(column)} in ${actorsOf(id)}
    then split_part(${sql.raw(column)}, ':', 1) || ':' || ${pseudonym} else ${sql.raw(column)} end`;
const byHim = (id: string) => sql`actor in ${actorsOf(id)}`;
const OF_HIS_JOBS = (id: string) => sql`job_id in (select id from jobs where customer_id = ${id})`;

/** In the order of erasure: rows that are found by his jobs come before the jobs. */
const HOLDINGS: readonly Holding[] = [
  { table: 'device_tokens', where: (id) => sql`user_id = ${id}` },
  {
    table: 'notification_pushes',
    where: (id) => sql`notification_id in (
      select id from notifications where user_id = ${id} or ${OF_HIS_JOBS(id)})`,
    columns: 'notification_id, at',
  },
  {
    table: 'notifications',
    // Other users' notifications about his jobs may name his address.
    where: (id) => sql`user_id = ${id} or ${OF_HIS_JOBS(id)}`,
    columns: 'user_id, app, job_id, type, title, body, created_at, read_at',
  },
  {
    table: 'push_attempts',
    where: (id) => sql`user_id = ${id}`,
    columns: 'job_id, at, lane, kind, token_suffix, outcome, status, reason',
    erase: (_, pseudonym) => sql`user_id = ${pseudonym}, token_suffix = ''`,
  },
  {
    table: 'push_windows',
    where: (id) => sql`(job_id, wave) in (
      select job_id, wave from job_waves where candidate_ids @> array[${id}]::text[])`,
    columns: 'job_id, wave, at',
    erase: (id) => sql`suffixes = (
      select array_agg(case when w.candidate_ids[push_windows.first_place + a.place + 1] = ${id}
        then 0 else a.suffix end order by a.number)
      from job_waves w,
        unnest(push_windows.places, push_windows.suffixes) with ordinality a(place, suffix, number)
      where w.job_id = push_windows.job_id and w.wave = push_windows.wave)`,
  },
  {
    table: 'push_marks',
    where: (id) => sql`driver_id = ${id}`,
    columns: 'job_id, wave, at',
    erase: (_, pseudonym) => sql`driver_id = ${pseudonym}`,
  },
  {
    table: 'job_events',
    where: (id) => sql`driver_id = ${id} or ${byHim(id)}`,
    columns: 'job_id, at, type, status, actor, reason',
    erase: (id, pseudonym) => sql`reason = case when ${byHim(id)} then null else reason end,
      ${renamed('driver_id', id, pseudonym)}, ${actorRenamed('actor', id, pseudonym)}`,
  },
  {
    table: 'job_refusals',
    where: (id) => sql`driver_id = ${id}`,
    columns: 'job_id, kind, reason, at',
    erase: (_, pseudonym) => sql`driver_id = ${pseudonym}, reason = null`,
  },
  {
    table: 'job_waves',
    where: (id) => sql`candidate_ids @> array[${id}]::text[]`,
    columns: 'job_id, wave, opened_at',
    erase: (id, pseudonym) =>
      sql`candidate_ids = array_replace(candidate_ids, ${id}, ${pseudonym})`,
  },
  {
    table: 'deliveries',
    where: (id) => sql`driver_ids @> array[${id}]::text[]`,
    columns: 'job_id, at',
    erase: (id, pseudonym) => sql`driver_ids = array_replace(driver_ids, ${id}, ${pseudonym})`,
  },
  {
    table: 'job_deliveries',
    where: (id) => sql`driver_ids @> array[${id}]::text[]`,
    columns: 'job_id, at',
    erase: (id, pseudonym) => sql`driver_ids = array_replace(driver_ids, ${id}, ${pseudonym})`,
  },
  { table: 'idempotency_keys', where: (id) => sql`sub = ${id}` },
  {
    table: 'driver_events',
    where: (id) => sql`driver_id = ${id}`,
  },
  {
    table: 'driver_events',
    where: (id) => sql`driver_id <> ${id} and ${byHim(id)}`,
    columns: 'at, what, was, became, reason',
    erase: (id, pseudonym) => sql`reason = null, ${actorRenamed('actor', id, pseudonym)}`,
  },
  { table: 'driver_positions', where: (id) => sql`driver_id = ${id}` },
  { table: 'driver_days', where: (id) => sql`driver_id = ${id}` },
  {
    table: 'users_blocked',
    where: (id) => sql`id <> ${id} and blocked_by in ${actorsOf(id)}`,
    columns: 'blocked_at',
    erase: (id, pseudonym) => actorRenamed('blocked_by', id, pseudonym),
  },
  { table: 'users_blocked', where: (id) => sql`id = ${id}`, last: true },
  {
    table: 'jobs',
    where: (id) => sql`customer_id = ${id}`,
    // They keep his id until the end: a repeated erase finds by it what it did not get to.
    erase: () => sql`address = ${NO_ADDRESS}, notes = null, lat = null, lng = null`,
  },
  {
    table: 'jobs',
    where: (id) => sql`driver_id = ${id}`,
    columns: 'id, status, total_price, accepted_at, updated_at',
    erase: (_, pseudonym) => sql`driver_id = ${pseudonym}`,
  },
  { table: 'drivers', where: (id) => sql`id = ${id}`, last: true },
];

/** Passes a user's rows to `take`, table by table, each as its columns. */
export async function readPersonalRows(
  db: Db,
  id: string,
  take: (table: string, row: Record<string, unknown>) => Promise<void>,
): Promise<void> {
  for (const { table, where, columns = '*' } of HOLDINGS) {
    const rows = await patiently(db, (tx) =>
      tx.execute<{ row: Record<string, unknown> }>(sql`
        select to_jsonb(held) as row
        from (select ${sql.raw(columns)} from ${sql.raw(table)} where ${where(id)}) held`),
    );
    for (const { row } of rows) await take(table, row);
  }
}

/** How many rows of each table were deleted or changed. */
export type Touched = Record<string, number>;

/**
 * Erases what is held of a user, all but what he is known by: his jobs' `customer_id`, his own row and
 * his block. Each table is a transaction of its own, so that no row of others stays locked while another
 * table is read; what was cut off may be repeated.
 */
export async function erasePersonalRows(db: Db, id: string, pseudonym: string): Promise<Touched> {
  const touched: Touched = {};
  for (const holding of HOLDINGS) {
    if (holding.last) continue;
    const count = await patiently(db, (tx) => eraseHolding(tx, holding, id, pseudonym));
    touched[holding.table] = (touched[holding.table] ?? 0) + count;
  }
  return touched;
}

/** The end of it, in one transaction: from here on nothing tells who he was. */
export async function eraseIdentity(db: Db, id: string, pseudonym: string): Promise<Touched> {
  return patiently(db, async (tx) => {
    await tx.execute(sql`update jobs set customer_id = ${pseudonym} where customer_id = ${id}`);
    const touched: Touched = {};
    for (const holding of HOLDINGS) {
      if (holding.last) touched[holding.table] = await eraseHolding(tx, holding, id, pseudonym);
    }
    return touched;
  });
}

async function eraseHolding(
  tx: Tx,
  { table, where, erase }: Holding,
  id: string,
  pseudonym: string,
): Promise<number> {
  const name = sql.raw(table);
  const change = erase
    ? sql`update ${name} set ${erase(id, pseudonym)} where ${where(id)} returning 1`
    : sql`delete from ${name} where ${where(id)} returning 1`;
  const [row] = await tx.execute<{ count: number }>(sql`
    with changed as (${change}) select count(*)::int as count from changed`);
  return row?.count ?? 0;
}

/** Jobs that a driver holds, and those that are reserved for him. */
export async function listJobsInHand(
  db: Db,
  id: string,
): Promise<{ id: string; reserved: boolean }[]> {
  return db.execute<{ id: string; reserved: boolean }>(sql`
    select id, status = 'assigned' as reserved from jobs
    where driver_id = ${id} and (status in ${HELD_SQL} or status = 'assigned')`);
}

/** All jobs of a customer that are still on record. */
export async function listIdsOfCustomer(db: Db, id: string): Promise<string[]> {
  const rows = await db.execute<{ id: string }>(sql`select id from jobs where customer_id = ${id}`);
  return rows.map((row) => row.id);
}

/** Have people been told of all changes of these jobs, where there is somebody to tell? */
export async function isAllTold(db: Db, customerId: string): Promise<boolean> {
  const [row] = await db.execute<{ told: boolean }>(sql`
    select not exists (
      select from jobs where customer_id = ${customerId} and settled_version < version)
      and not exists (
        select from notifications where ${OF_HIS_JOBS(customerId)} and done_at is null) as told`);
  return row?.told ?? true;
}

/** A transaction whose statements may take long, and wait for locks; times are read as UTC, as everywhere. */
function patiently<T>(db: Db, work: (tx: Tx) => Promise<T>): Promise<T> {
  return db.transaction(async (tx) => {
    await tx.execute(
      sql`select set_config('statement_timeout', ${`${STATEMENT_TIMEOUT_MS}`}, true),
        set_config('lock_timeout', ${`${LOCK_TIMEOUT_MS}`}, true),
        set_config('timezone', 'UTC', true)`,
    );
    return work(tx);
  });
}
