/** What the drivers' files work with: the stores, the settings, and who hears of positions. */
import type { EngineContext } from '../context.ts';
import type { Zone } from '../domain/zones.ts';
import type { Fix } from '../redis/drivers.ts';

/** Where a driver is now, as Redis took it in. */
export interface TrackedFix {
  id: string;
  zone: Zone;
  fix: Fix;
  /** Epoch ms by Redis's clock. */
  seenAt: number;
}

export type DriverStores = Pick<
  EngineContext,
  'db' | 'redis' | 'settings' | 'metrics' | 'log' | 'now'
>;

export interface DriverParts extends DriverStores {
  /** A monotonic clock of this process, ms: for how long ago something was. */
  elapsed(): number;
  /** Told of what this process took in; other processes hear it on the zone's live channel. */
  onTracked(fixes: readonly TrackedFix[]): void;
}
