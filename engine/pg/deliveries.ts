/** Deliveries in Postgres: which drivers' sockets were given a job, one row for each job and gateway. */

import type { Db } from './client.ts';
import { type SQL, sql } from './drizzle.ts';

/** Most drivers in a row: a job that stays open for days must not make it grow for ever. */
const DRIVERS_MAX = 5000;
/** The most that the column holds: 24 days. */
const AFTER_MAX_MS = 2_147_483_647;

/** The drivers whose sockets were given one job. */
export interface JobDeliveries {
  jobId: string;
  /** How long ago the first delivery was. */
  ageMs: number;
  driverIds: readonly string[];
  /** How long after the first each delivery was. */
  afterMs: readonly number[];
}

/** Records what a gateway has delivered; a driver already in the row keeps his first time. */
export async function saveDeliveries(
  db: Db,
  gateway: string,
  deliveries: readonly JobDeliveries[],
): Promise<void> {
  await db.execute(sql`
    insert into deliveries as d (job_id, gateway, at, driver_ids, after_ms)
    select "jobId", ${gateway}, now() - "ageMs" * interval '1 millisecond',
      array(select jsonb_array_elements_text("driverIds")),
      array(select ${intOf(sql`jsonb_array_elements_text("afterMs")::float8`)})
    from jsonb_to_recordset(${JSON.stringify(deliveries)}::text::jsonb)
      as r("jobId" text, "ageMs" float8, "driverIds" jsonb, "afterMs" jsonb) order by "jobId"
    on conflict (job_id, gateway) do update set
      (driver_ids, after_ms) = (
        select d.driver_ids || array_agg(id), d.after_ms || array_agg(
          ${intOf(sql`extract(epoch from excluded.at - d.at) * 1000 + after`)})
        from (
          select id, after from unnest(excluded.driver_ids, excluded.after_ms) new(id, after)
          where id <> all (d.driver_ids)
          limit ${DRIVERS_MAX}::int - cardinality(d.driver_ids)) added)
    where cardinality(d.driver_ids) < ${DRIVERS_MAX}::int
      and not excluded.driver_ids <@ d.driver_ids`);
}

/** Milliseconds, limited to what the column holds. */
const intOf = (ms: SQL) => sql`greatest(0, least(${ms}, ${AFTER_MAX_MS}::float8))::int`;
