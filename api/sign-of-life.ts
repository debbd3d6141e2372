/**
 * Any call with a driver's token counts as 'heard of' (contract section 5): it is passed on to the
 * tracker beside the call, never awaited, and not for every single call.
 */
import type { Engine } from '../engine/engine.ts';

/** How often it is passed on at most, or ten times within `DRIVER_STALE_S` if that is short. */
const EVERY_MS = 1000;
/** About 5 MB; beyond it the oldest entry is forgotten, and that driver is passed on once too often. */
const DRIVERS_MAX = 50_000;

export type SignOfLife = (driverId: string) => void;

export function createSignOfLife(engine: Engine): SignOfLife {
  const { ctx, drivers } = engine;
  const everyMs = Math.min(EVERY_MS, ctx.settings.driverStaleMs / 10);
  const heardAt = new Map<string, number>();
  return (driverId) => {
    const now = performance.now();
    if (now - (heardAt.get(driverId) ?? Number.NEGATIVE_INFINITY) < everyMs) return;
    heardAt.delete(driverId);
    heardAt.set(driverId, now);
    if (heardAt.size > DRIVERS_MAX) {
      const [oldest] = heardAt.keys();
      if (oldest !== undefined) heardAt.delete(oldest);
    }
    // Calls that need Redis or Postgres report that they are away, not this one.
    drivers.know(driverId).then(
      (driver) => driver && drivers.track(driver, null).catch(() => {}),
      () => {},
    );
  };
}
