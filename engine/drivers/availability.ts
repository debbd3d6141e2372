/** Going online and offline. */
import type { Actor } from '../domain/job.ts';
import { setOnline } from '../pg/driver-changes.ts';
import { type DriverRow, findDriver } from '../pg/drivers.ts';
import type { DriverStores } from './parts.ts';
import { trySync } from './profile.ts';

export type AvailabilityResult =
  | { ok: true; driver: DriverRow }
  | { ok: false; code: 'not_approved' };

/**
 * Goes online, which only an approved driver may, or offline, which everybody may: one who is suspended
 * would otherwise be at work again, unasked, as soon as he is approved. Until then only his row knew his
 * position: the caller makes sure that the row is up to date.
 */
export async function setAvailability(
  parts: DriverStores,
  id: string,
  online: boolean,
  by: Actor = `driver:${id}`,
): Promise<AvailabilityResult> {
  const before = await findDriver(parts.db, id);
  const may = online ? before?.approvalStatus === 'approved' : before !== null;
  if (!may) return { ok: false, code: 'not_approved' };
  const row = await setOnline(parts.db, id, online, {
    by,
    staleMs: parts.settings.driverStaleMs,
    keepPosition: parts.settings.positionHistoryS > 0,
  });
  if (!row) return { ok: false, code: 'not_approved' };
  await trySync(parts, row);
  return { ok: true, driver: row };
}
