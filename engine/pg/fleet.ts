/** All drivers, page by page or by id, for a reader that keeps the whole fleet in memory. */
import type { Db } from './client.ts';
import { DRIVER_COLUMNS, type DriverRow } from './drivers.ts';
import { sql } from './drizzle.ts';
import type { RowOf } from './jobs.ts';

export async function readFleet(
  db: Db,
  page: { afterId: string; limit: number },
): Promise<DriverRow[]> {
  return db.execute<RowOf<DriverRow>>(sql`
    select ${DRIVER_COLUMNS} from drivers d where d.id > ${page.afterId}
    order by d.id limit ${page.limit}::int`);
}

export async function findInFleet(db: Db, ids: readonly string[]): Promise<DriverRow[]> {
  return db.execute<RowOf<DriverRow>>(sql`
    select ${DRIVER_COLUMNS} from drivers d
    where d.id in (select jsonb_array_elements_text(${JSON.stringify(ids)}::jsonb))`);
}
