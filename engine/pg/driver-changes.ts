/**
 * Changes of a driver that decide what he is offered. Each is recorded in the same statement, with who
 * made it, so that his state at any past moment is known. Its time is taken while the row is locked,
 * since a transaction may have waited for another that began later.
 */

import type { Actor } from '../domain/job.ts';
import type { Db } from './client.ts';
import { insertSilence } from './driver-history.ts';
import { DRIVER_COLUMNS, type DriverChange, type DriverRow } from './drivers.ts';
import { sql } from './drizzle.ts';
import { one, type RowOf } from './jobs.ts';

/**
 * Creates the driver (as `pending`) or changes the given fields. `before` is read first, or the
 * insert would hide it.
 */
export async function upsertDriver(db: Db, id: string, change: DriverChange): Promise<DriverRow> {
  const truckGiven = change.truckType !== undefined;
  const rows = await db.execute<RowOf<DriverRow>>(sql`
    with before as materialized (select * from drivers where id = ${id} for update),
    d as (
      insert into drivers as old (id, name, truck_type, approval_status, is_operator)
      select ${id}, ${change.name ?? null}, ${change.truckType ?? null},
        ${change.approvalStatus ?? 'pending'}, ${change.isOperator ?? false}::boolean
      from (select count(*) from before) known
      on conflict (id) do update set
        name = coalesce(${change.name ?? null}, old.name),
        truck_type = case when ${truckGiven}::boolean then ${change.truckType ?? null}
          else old.truck_type end,
        approval_status = coalesce(${change.approvalStatus ?? null}, old.approval_status),
        is_operator = coalesce(${change.isOperator ?? null}::boolean, old.is_operator),
        rev = old.rev + 1, updated_at = now()
      returning *),
    event as (
      insert into driver_events (driver_id, at, what, was, became, actor, reason)
      select d.id, clock_timestamp(), change.what, change.was, change.became, ${change.by ?? 'muster'},
        ${change.reason ?? null}
      from d left join before b on b.id = d.id
        cross join lateral (values
          ('approval_status', b.approval_status, d.approval_status),
          ('is_operator', b.is_operator::text, d.is_operator::text),
          ('truck_type', b.truck_type, d.truck_type)) change(what, was, became)
      where change.was is distinct from change.became)
    select ${DRIVER_COLUMNS} from d`);
  return one(rows);
}

/** What is recorded when a driver goes online or offline. */
export interface OnlineRecord {
  by: Actor;
  /** A silence longer than this is recorded too. */
  staleMs: number;
  /** His position is recorded when he goes online. */
  keepPosition: boolean;
}

/** Returns null when there is no such driver. */
export async function setOnline(
  db: Db,
  id: string,
  online: boolean,
  record: OnlineRecord,
): Promise<DriverRow | null> {
  const [row] = await db.execute<RowOf<DriverRow>>(sql`
    with before as materialized (select * from drivers where id = ${id} for update),
    d as (
      update drivers set online = ${online}::boolean, rev = drivers.rev + 1, updated_at = now(),
        seen_at = now()
      from before where drivers.id = before.id returning drivers.*),
    event as (
      insert into driver_events (driver_id, at, what, was, became, actor)
      select d.id, clock_timestamp(), 'online', case when b.online then 'online' else 'offline' end,
        case when d.online then 'online' else 'offline' end, ${record.by}
      from d join before b on b.id = d.id where b.online <> d.online),
    silence as (${insertSilence(
      sql`
      select d.id, b.online, b.seen_at as was_seen_at, d.seen_at
      from d join before b on b.id = d.id`,
      record.staleMs,
    )}),
    position as (
      insert into driver_positions (driver_id, at, lat, lng)
      select id, now(), lat, lng from d
      where ${record.keepPosition}::boolean and online and lat is not null
        and approval_status = 'approved' and not is_operator
      on conflict do nothing)
    select ${DRIVER_COLUMNS} from d`);
  return row ?? null;
}
