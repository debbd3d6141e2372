/** Deliveries in Postgres: which drivers' sockets were given a job, one row for each job and gateway. */
import { sql } from 'drizzle-orm';
import type { Db } from './client.ts';

/** Drivers that a row names; a job that stays open for days does not make it grow for ever. */
const DRIVERS_MAX = 5000;
/** What the column holds: 24 days. */
const AFTER_MAX_MS = 2_147_483_647;

/** What a gateway has delivered; who is in the row already stays there with his first time. */
export async function saveDeliveries(
  db: Db,
  gateway: string,
  deliveries: readonly { jobId: string; driverIds: readonly string[] }[],
): Promise<void> {
  await db.execute(sql`
    insert into deliveries as d (job_id, gateway, driver_ids, after_ms)
    select "jobId", ${gateway}, array(select jsonb_array_elements_text("driverIds")),
      array_fill(0, array[jsonb_array_length("driverIds")])
    from jsonb_to_recordset(${JSON.stringify(deliveries)}::text::jsonb)
      as r("jobId" text, "driverIds" jsonb) order by "jobId"
    on conflict (job_id, gateway) do update set
      (driver_ids, after_ms) = (
        select d.driver_ids || added.ids, d.after_ms || array_fill(
          least(extract(epoch from now() - d.at) * 1000, ${AFTER_MAX_MS}::float8)::int,
          array[cardinality(added.ids)])
        from (select array(
          select id from unnest(excluded.driver_ids) id where id <> all (d.driver_ids)
          limit ${DRIVERS_MAX}::int - cardinality(d.driver_ids)) as ids) added)
    where cardinality(d.driver_ids) < ${DRIVERS_MAX}::int
      and not excluded.driver_ids <@ d.driver_ids`);
}
