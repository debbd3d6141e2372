/**
 * Saves positions in Postgres: the newest of each driver is kept until the next round, then many are
 * written at once. What could not be written goes with the next round. However slow Postgres is, there is
 * one write at a time, and what waits for the next is one position a driver: a newer one replaces it.
 */
import { createSamples } from '../history/samples.ts';
import { saveLastSeen } from '../pg/drivers.ts';
import type { Fix } from '../redis/drivers.ts';
import type { DriverParts } from './parts.ts';

const SAVE_BATCH = 1000;

export interface PositionSaver {
  /** A sign of life that came now, with a fix where there is one. */
  remember(id: string, fix: Fix | null): void;
  /** His newest fix that is not in Postgres yet. */
  unsavedFix(id: string): Fix | null;
  /**
   * Writes what is remembered of these drivers, once the write under way has ended. Never rejects: what failed
   * stays remembered.
   */
  save(ids: readonly string[]): Promise<void>;
  /** The same for all drivers, with those whom the write under way fails to save. */
  saveAll(): Promise<void>;
}

export function createPositionSaver(parts: DriverParts): PositionSaver {
  const unsaved = new Unsaved();
  const samples = createSamples(parts);
  /** The write under way, and the one that begins when it ends. */
  let saving: Promise<void> | null = null;
  let next: Promise<void> | null = null;

  function save(): Promise<void> {
    if (next) return next;
    if (!saving) return begin();
    next = saving.then(() => {
      next = null;
      return begin();
    });
    return next;
  }

  function begin(): Promise<void> {
    const batch = unsaved.takeDue();
    if (batch.size === 0) return Promise.resolve();
    const writing = write([...batch])
      .catch((error: unknown) => {
        // They go with the next round, or with a later fix of the same driver.
        unsaved.putBack(batch);
        parts.log.warn({ err: error, drivers: batch.size }, 'positions not yet in Postgres');
      })
      .finally(() => {
        saving = null;
      });
    saving = writing;
    return writing;
  }

  async function write(batch: readonly (readonly [string, Heard])[]): Promise<void> {
    for (let i = 0; i < batch.length; i += SAVE_BATCH) {
      const now = parts.elapsed();
      const rows = batch.slice(i, i + SAVE_BATCH).map(([id, { fix, heardAt }]) => ({
        id,
        lat: fix?.lat ?? null,
        lng: fix?.lng ?? null,
        at: fix?.at ?? null,
        seenAgeMs: now - heardAt,
      }));
      await saveLastSeen(parts.db, rows, parts.settings.driverStaleMs);
      await samples.take(rows);
    }
  }

  return {
    remember: (id, fix) => unsaved.add(id, { fix, heardAt: parts.elapsed() }),
    unsavedFix: (id) => unsaved.fixOf(id),
    save(ids) {
      unsaved.makeDue(ids);
      return save();
    },
    saveAll() {
      unsaved.makeAllDue();
      return save();
    },
  };
}

/** A driver's last sign of life, with his newest fix. */
interface Heard {
  fix: Fix | null;
  /** By this process's clock. */
  heardAt: number;
}

/** What is not in Postgres yet, and who is written when the next write begins. */
class Unsaved {
  readonly #drivers = new Map<string, Heard>();
  #due = new Set<string>();
  #allDue = false;

  add(id: string, heard: Heard): void {
    const before = this.#drivers.get(id);
    this.#drivers.set(id, before ? newestOf(before, heard) : heard);
  }

  fixOf(id: string): Fix | null {
    return this.#drivers.get(id)?.fix ?? null;
  }

  makeDue(ids: readonly string[]): void {
    for (const id of ids) if (this.#drivers.has(id)) this.#due.add(id);
  }

  makeAllDue(): void {
    this.#allDue = true;
  }

  takeDue(): Map<string, Heard> {
    const batch = new Map<string, Heard>();
    for (const id of this.#allDue ? [...this.#drivers.keys()] : this.#due) {
      const heard = this.#drivers.get(id);
      if (heard) batch.set(id, heard);
      this.#drivers.delete(id);
    }
    this.#due = new Set();
    this.#allDue = false;
    return batch;
  }

  /** What could not be written; what came meanwhile is newer. */
  putBack(batch: ReadonlyMap<string, Heard>): void {
    for (const [id, heard] of batch) {
      const later = this.#drivers.get(id);
      this.#drivers.set(id, later ? newestOf(heard, later) : heard);
    }
  }
}

/** The later sign of life, with the newest fix: a late one does not replace a newer one. */
function newestOf(before: Heard, later: Heard): Heard {
  const { fix, heardAt } = later;
  const isNewer = fix && (!before.fix || fix.at >= before.fix.at);
  return { fix: isNewer ? fix : before.fix, heardAt };
}
