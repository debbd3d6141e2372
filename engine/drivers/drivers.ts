/**
 * The drivers of one process: who they are and may be, where they are, and who of them is near a job.
 * Postgres is the truth about each; while a driver is at work Redis has what is asked often. Owns what
 * this process remembers of approvals and of positions that are under way.
 */
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
  /** Goes online or offline. Only an approved driver may. */
  setAvailability(id: string, online: boolean): Promise<AvailabilityResult>;
  /**
   * A sign of life, with a fix where there is one. Resolves when Redis has it; rejects with
   * `TryAgainError` when it was not taken. A caller that does not wait need not handle the rejection.
   */
  track(driver: KnownDriver, fix: Fix | null): Promise<void>;
  /** May he take jobs? A yes is remembered for a moment, until a change of his is heard of. */
  isApproved(id: string): boolean | Promise<boolean>;
  /** He has changed: an approval that is remembered says nothing any more. */
  forget(id: string): void;
  /** Brings Redis to his row as it is now. */
  sync(id: string): Promise<void>;
  /** Tells every gateway what is known of a driver now. */
  announce(id: string): Promise<void>;
  /** Takes the body of an entry of the drivers log: what is known of one driver from now on. */
  hear(body: string): KnownDriver;
  /** The nearest drivers who may be offered a job, as Redis knows them. */
  nearest(search: Search): Promise<Nearest>;
  /** Makes sure that Redis knows the drivers: fills it from Postgres after a loss. */
  ensure(): Promise<void>;
  /**
   * Compares what Redis holds of drivers with Postgres, everywhere, and repairs the difference. How many
   * drivers were repaired.
   */
  sweep(signal?: AbortSignal): Promise<number>;
  /** Brings Redis to the rows of those of these drivers of whom it knows more than they say. How many were. */
  mend(ids: readonly string[]): Promise<number>;
  /** Waits for positions that are under way. */
  close(): Promise<void>;
}

export function createDrivers(parts: DriverParts): Drivers {
  const saver = createPositionSaver(parts);
  const tracker = createTracker(parts, saver);

  async function know(id: string): Promise<KnownDriver | null> {
    const known = await knowDriver(parts, id);
    // Of a driver who is not at work Redis knows no position: his own process may have one for Postgres.
    const fix = known && (known.fix ?? saver.unsavedFix(id));
    return known && { ...known, fix, position: fix };
  }

  const approvals = createApprovals({
    elapsed: parts.elapsed,
    async ask(id) {
      // Without Redis the row alone says it.
      if ((await know(id).catch(() => null))?.approved) return true;
      // Redis may not have heard yet that he is: a no is asked of his row.
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
    async setAvailability(id, online) {
      if (saver.unsavedFix(id)) await saver.save([id]);
      return setAvailability(parts, id, online);
    },
    track: tracker.add,
    isApproved: approvals.isApproved,
    forget: approvals.forget,
    sync: (id) => syncDriver(parts, id),
    announce: (id) => announceDriver(parts, id),
    hear(body) {
      const driver = parseDriverEvent(body);
      approvals.forget(driver.id);
      // He came to work in another process, which cannot know what this one has just set aside.
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
