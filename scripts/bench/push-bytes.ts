/**
 * What a push leaves in Postgres: all tables and indexes of the ledger and of the waves, beside a plain
 * table with one row for each push.
 */
import { randomUUID } from 'node:crypto';
import { sql } from '../../engine/pg/drizzle.ts';
import { type BenchLine, compare } from './bench-line.ts';
import type { OwnSimulator } from './own-simulator.ts';
import { startPushPath } from './push-path.ts';
import type { Stores } from './stack.ts';

const DRIVERS = 300;
/** 12 000 pushes: pages that are not full hardly count. */
const JOBS = 40;
const TABLES = ['job_waves', 'push_windows', 'push_attempts', 'push_marks'];

/** On stores of its own: nothing else may be in the tables. */
export async function runPushBytes(target: OwnSimulator, stores: Stores): Promise<BenchLine> {
  // Ids of users as identity providers make them.
  const path = await startPushPath(stores, target, DRIVERS, () => randomUUID());
  const { db } = path.ctx;
  const sizeOf = async (tables: readonly string[]) => {
    for (const table of tables) await db.execute(sql`vacuum ${sql.identifier(table)}`);
    const [row] = await db.execute<{ bytes: number }>(sql`
      select sum(pg_total_relation_size(name::regclass))::float8 as bytes
      from jsonb_array_elements_text(${JSON.stringify(tables)}::text::jsonb) as name`);
    return row?.bytes ?? Number.NaN;
  };
  const before = await sizeOf(TABLES);
  let failed = 0;
  for (let job = 0; job < JOBS; job++) failed += (await path.wave()).failed;
  const ours = (await sizeOf(TABLES)) - before;
  await db.execute(sql`
    create table a_row_each (id bigserial primary key, job_id text, wave int, driver_id text,
      token_suffix text, apns_id uuid default gen_random_uuid(), at timestamptz, outcome text,
      status int, reason text, latency_ms int, apns_unique_id text)`);
  await db.execute(sql`create index on a_row_each (job_id)`);
  const empty = await sizeOf(['a_row_each']);
  await db.execute(sql`
    insert into a_row_each (job_id, wave, driver_id, token_suffix, at, outcome, status, reason,
      latency_ms, apns_unique_id)
    select job_id, wave, user_id, token_suffix, at, outcome, status, reason, latency_ms,
      apns_unique_id from pushes`);
  const peer = (await sizeOf(['a_row_each'])) - empty;
  await path.close();
  const pushes = DRIVERS * JOBS;
  return compare([ours / pushes], [peer / pushes], {
    bench: 'push: in PostgreSQL, a plain row each',
    unit: 'bytes/push',
    bottleneck: 'none: sizes after vacuum, with indexes',
    notes: { pushes, drivers: DRIVERS, failed },
  });
}
