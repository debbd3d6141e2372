/** Drivers: what they and operators may change, and what is known of one. */
import { upsertDriver } from '../pg/driver-changes.ts';
import { type DriverChange, type DriverRow, findDriver } from '../pg/drivers.ts';
import { type KnownDriver, readDriver } from '../redis/drivers.ts';
import type { DriverStores } from './parts.ts';
import { syncDriverRow } from './sync.ts';

/** All that is known of a driver, from Redis or, where Redis does not have him, from Postgres. */
export async function knowDriver(parts: DriverStores, id: string): Promise<KnownDriver | null> {
  const known = await readDriver(parts.redis, id);
  if (known) return known;
  const row = await findDriver(parts.db, id);
  if (!row) return null;
  await syncDriverRow(parts, row);
  return readDriver(parts.redis, id);
}

/** Creates or changes a driver; takes effect on live sockets at once. */
export async function changeDriver(
  parts: DriverStores,
  id: string,
  change: DriverChange,
): Promise<DriverRow> {
  const row = await upsertDriver(parts.db, id, change);
  await trySync(parts, row);
  return row;
}

/** The change is committed; if Redis is away, maintenance brings it there. */
export async function trySync(parts: DriverStores, row: DriverRow): Promise<void> {
  try {
    await syncDriverRow(parts, row);
  } catch (error) {
    parts.log.warn({ err: error, driver: row.id }, 'driver not yet in Redis, will be repeated');
  }
}
