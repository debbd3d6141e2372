/**
 * Samples of where drivers were: one every `POSITION_HISTORY_S` of each available driver who moves.
 * A driver who stands still is where his last sample says. `explain` and `record` read them.
 */
import type { EngineContext } from '../context.ts';
import { distanceKm, type Position } from '../domain/distance.ts';
import { insertPositions, type PositionSample } from '../pg/driver-history.ts';

/** Fixes of a phone that lies still wander by some metres. */
const MOVED_KM = 0.025;
/** Drivers whose last sample is remembered, about 20 MB; beyond it all are sampled anew. */
const REMEMBERED_MAX = 100_000;

export interface Samples {
  /** Keeps those of these positions that are due. Positions of unavailable drivers are not kept. */
  take(batch: readonly SeenPosition[]): Promise<void>;
}

/** A driver's newest position; null where only a sign of life came. */
export interface SeenPosition {
  id: string;
  lat: number | null;
  lng: number | null;
  /** Epoch ms of the fix. */
  at: number | null;
}

export function createSamples({ db, settings }: Pick<EngineContext, 'db' | 'settings'>): Samples {
  const everyMs = settings.positionHistoryS * 1000;
  const last = new Map<string, { position: Position; at: number }>();

  function isDue(sample: PositionSample): boolean {
    const before = last.get(sample.id);
    if (!before) return true;
    return sample.at - before.at >= everyMs && distanceKm(before.position, sample) >= MOVED_KM;
  }

  return {
    async take(batch) {
      if (everyMs === 0) return;
      const due = batch.flatMap(toSample).filter(isDue);
      if (due.length === 0) return;
      await insertPositions(db, due);
      if (last.size > REMEMBERED_MAX) last.clear();
      for (const { id, at, ...position } of due) last.set(id, { position, at });
    },
  };
}

function toSample({ id, lat, lng, at }: SeenPosition): PositionSample[] {
  return lat === null || lng === null || at === null ? [] : [{ id, lat, lng, at }];
}
