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

interface Unsaved {
  fix: Fix | null;
  /** By this process's clock. */
  heardAt: number;
}

export function createPositionSaver(parts: DriverParts): PositionSaver {
  const unsaved = new Map<string, Unsaved>();
  const samples = createSamples(parts);
  /** Who is written when the next write begins. */
  let due = new Set<string>();
  let allDue = false;
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
    const batch = takeDue();
    if (batch.size === 0) return Promise.resolve();
    const writing = write([...batch])
      .catch((error: unknown) => {
        // They go with the next round, or with a later fix of the same driver.
        for (const [id, entry] of batch) unsaved.set(id, newestOf(entry, unsaved.get(id)));
        parts.log.warn({ err: error, drivers: batch.size }, 'positions not yet in Postgres');
      })
      .finally(() => {
        saving = null;
      });
    saving = writing;
    return writing;
  }

  function takeDue(): Map<string, Unsaved> {
    const batch = new Map<string, Unsaved>();
    for (const id of allDue ? [...unsaved.keys()] : due) {
      const entry = unsaved.get(id);
      if (entry) batch.set(id, entry);
      unsaved.delete(id);
    }
    due = new Set();
    allDue = false;
    return batch;
  }

  async function write(batch: readonly (readonly [string, Unsaved])[]): Promise<void> {
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
    remember(id, fix) {
      const heard = { fix, heardAt: parts.elapsed() };
      const before = unsaved.get(id);
      unsaved.set(id, before ? newestOf(before, heard) : heard);
    },
    unsavedFix: (id) => unsaved.get(id)?.fix ?? null,
    save(ids) {
      for (const id of ids) if (unsaved.has(id)) due.add(id);
      return save();
    },
    saveAll() {
      allDue = true;
      return save();
    },
  };
}

/** The later sign of life, with the newest fix: a late one does not replace a newer one. */
function newestOf(before: Unsaved, later: Unsaved | undefined): Unsaved {
  if (!later) return before;
  const { fix, heardAt } = later;
  const isNewer = fix && (!before.fix || fix.at >= before.fix.at);
  return { fix: isNewer ? fix : before.fix, heardAt };
}
