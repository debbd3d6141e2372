/** Deliveries in Postgres: which drivers' sockets were given a job, one row for each job and gateway. */
import { sql } from 'drizzle-orm';
import type { Db } from './client.ts';

/** Drivers that a row names; a job that stays open for days does not make it grow for ever. */
const DRIVERS_MAX = 5000;
/** What the column holds: 24 days. */
const AFTER_MAX_MS = 2_147_483_647;

/** Which drivers were given a job, and how long ago each was; now where that is left out. */
export interface Delivered {
  jobId: string;
  driverIds: readonly string[];
  agoMs?: readonly number[];
}

/** What a gateway has delivered; who is in the row already stays there with his first time. */
export async function saveDeliveries(
  db: Db,
  gateway: string,
  deliveries: readonly Delivered[],
): Promise<void> {
  const rows = deliveries.map(({ jobId, driverIds, agoMs = driverIds.map(() => 0) }) => {
    const ago = agoMs.map(Math.round);
    const first = ago.reduce((a, b) => Math.max(a, b), 0);
    return { jobId, driverIds, first, after: ago.map((ms) => first - ms) };
  });
  await db.execute(sql`
    insert into deliveries as d (job_id, gateway, driver_ids, after_ms, at)
    select "jobId", ${gateway}, array(select jsonb_array_elements_text("driverIds")),
      array(select jsonb_array_elements_text("after")::int),
      now() - "first" * interval '1 millisecond'
    from jsonb_to_recordset(${JSON.stringify(rows)}::text::jsonb)
      as r("jobId" text, "driverIds" jsonb, "first" int, "after" jsonb) order by "jobId"
    on conflict (job_id, gateway) do update set
      (driver_ids, after_ms) = (
        select d.driver_ids || array_agg(id order by n), d.after_ms || array_agg(
          least(greatest(late.ms + added.ms, 0), ${AFTER_MAX_MS}::float8)::int order by n)
        from (select extract(epoch from excluded.at - d.at) * 1000 as ms) late,
          (select * from unnest(excluded.driver_ids, excluded.after_ms) with ordinality u(id, ms, n)
            where id <> all (d.driver_ids) order by n
            limit ${DRIVERS_MAX}::int - cardinality(d.driver_ids)) added)
    where cardinality(d.driver_ids) < ${DRIVERS_MAX}::int
      and not excluded.driver_ids <@ d.driver_ids`);
}
