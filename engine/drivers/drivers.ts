/**
 * Drivers, as one process works with them: profile, approval, position, and who is near a job.
 * Postgres is the truth; while a driver is at work, Redis has what is asked often. Owns this process's
 * memory of approvals and of positions that are not flushed yet.
 */
import type { Actor } from '../domain/job.ts';
import { isAtWork } from '../domain/visibility.ts';
import { type DriverChange, type DriverRow, findDriver } from '../pg/drivers.ts';
import type { Fix, KnownDriver } from '../redis/drivers.ts';
import { createApprovals } from './approval.ts';
import { type AvailabilityResult, setAvailability } from './availability.ts';
import { createFill } from './fill.ts';
import { mendDrivers } from './mend.ts';
import { createNearest, type Nearest, type Search } from './nearest.ts';
import type { DriverParts } from './parts.ts';
import { changeDriver, knowDriver } from './profile.ts';
import { createPositionSaver } from './save.ts';
import { createSweep } from './sweep.ts';
import { announceDriver, parseDriverEvent, syncDriver } from './sync.ts';
import { createTracker } from './track.ts';

export interface Drivers {
  /** All that is known of a driver, from Redis or, where Redis does not have him, from Postgres. */
  know(id: string): Promise<KnownDriver | null>;
  /** His row. */
  find(id: string): Promise<DriverRow | null>;
  /** Creates or changes a driver; takes effect on live sockets at once. */
  change(id: string, change: DriverChange): Promise<DriverRow>;
  /** Goes online or offline, by himself unless it says by whom. Only an approved driver may go online. */
  setAvailability(id: string, online: boolean, by?: Actor): Promise<AvailabilityResult>;
  /**
   * A sign of life, with a fix where there is one. Resolves when Redis has it; rejects with
   * `TryAgainError` when it was not taken. A caller that does not wait need not handle the rejection.
   */
  track(driver: KnownDriver, fix: Fix | null): Promise<void>;
  /** May he take jobs? A yes is remembered for a moment, or until he changes. */
  isApproved(id: string): boolean | Promise<boolean>;
  /** He has changed: forgets a remembered approval. */
  forget(id: string): void;
  /** Brings Redis in line with his row as it is now. */
  sync(id: string): Promise<void>;
  /** Tells every gateway what is known of a driver now. */
  announce(id: string): Promise<void>;
  /** Takes the body of an entry in the drivers log: the new state of one driver. */
  hear(body: string): KnownDriver;
  /** The nearest drivers who may be offered a job, as Redis knows them. */
  nearest(search: Search): Promise<Nearest>;
  /** Makes sure that Redis knows the drivers: fills it from Postgres after a loss. */
  ensure(): Promise<void>;
  /**
   * Compares all driver data in Redis with Postgres and repairs the differences. Returns how many
   * drivers were repaired.
   */
  sweep(signal?: AbortSignal): Promise<number>;
  /** Mends those of these drivers whose rows are behind Redis. Returns how many were. */
  mend(ids: readonly string[]): Promise<number>;
  /** Waits until the positions in hand are flushed and saved. */
  close(): Promise<void>;
}

export function createDrivers(parts: DriverParts): Drivers {
  const saver = createPositionSaver(parts);
  const tracker = createTracker(parts, saver);

  async function know(id: string): Promise<KnownDriver | null> {
    const known = await knowDriver(parts, id);
    // Redis knows no position of a driver who is not at work; this process may hold one for Postgres.
    const fix = known && (known.fix ?? saver.unsavedFix(id));
    return known && { ...known, fix, position: fix };
  }

  const approvals = createApprovals({
    elapsed: parts.elapsed,
    async ask(id) {
      // Without Redis only the row can tell.
      if ((await know(id).catch(() => null))?.approved) return true;
      // Redis may not know yet that he is approved: his row confirms a no.
      return (await findDriver(parts.db, id))?.approvalStatus === 'approved';
    },
  });

  return {
    know,
    find: (id) => findDriver(parts.db, id),
    async change(id, change) {
      const row = await changeDriver(parts, id, change);
      approvals.forget(id);
      return row;
    },
    async setAvailability(id, online, by) {
      if (saver.unsavedFix(id)) await saver.save([id]);
      return setAvailability(parts, id, online, by);
    },
    track: tracker.add,
    isApproved: approvals.isApproved,
    forget: approvals.forget,
    sync: (id) => syncDriver(parts, id),
    announce: (id) => announceDriver(parts, id),
    hear(body) {
      const driver = parseDriverEvent(body);
      approvals.forget(driver.id);
      // He came to work through another process, which does not have the fix that this one set aside.
      const fix = isAtWork(driver) ? tracker.asideFix(driver.id) : null;
      if (fix && fix.at > (driver.fix?.at ?? 0)) void tracker.add(driver, fix);
      return driver;
    },
    nearest: createNearest(parts),
    ensure: createFill(parts),
    sweep: createSweep(parts),
    async mend(ids) {
      for (const id of ids) approvals.forget(id);
      return mendDrivers(parts, ids);
    },
    close: tracker.close,
  };
}
