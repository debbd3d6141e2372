/**
 * Saves positions in Postgres: the newest of each driver is kept until the next round, then many are
 * written at once. What could not be written goes with the next round.
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
  /** Writes what is remembered of these drivers. Never rejects: what failed stays remembered. */
  save(ids: readonly string[]): Promise<void>;
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
  let saving: Promise<void> = Promise.resolve();

  function save(ids: readonly string[]): Promise<void> {
    const batch = new Map(
      ids.flatMap((id) => {
        const entry = unsaved.get(id);
        return entry ? [[id, entry] as const] : [];
      }),
    );
    for (const id of batch.keys()) unsaved.delete(id);
    saving = saving
      .then(() => write([...batch]))
      .catch((error: unknown) => {
        // It is saved with the next fix of the same driver, or goes with it.
        for (const [id, entry] of batch) if (!unsaved.has(id)) unsaved.set(id, entry);
        parts.log.warn({ err: error, drivers: batch.size }, 'positions not yet in Postgres');
      });
    return saving;
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
      const before = unsaved.get(id)?.fix ?? null;
      // A late fix does not replace a newer one that is not saved yet.
      const newest = fix && (!before || fix.at >= before.at) ? fix : before;
      unsaved.set(id, { fix: newest, heardAt: parts.elapsed() });
    },
    unsavedFix: (id) => unsaved.get(id)?.fix ?? null,
    save,
    saveAll: () => save([...unsaved.keys()]),
  };
}
