/**
 * How far a driver may move before any job enters or leaves his range: computations that cannot change
 * anything are skipped, so that the feed is exact and still cheap.
 */
import { distanceKm, type Position } from '../../engine/domain/distance.ts';
import type { OpenJob } from '../../engine/domain/visibility.ts';

/**
 * The feed of a driver who is near no circle's edge is computed anew after this distance anyway: zones
 * are followed only this much wider than a job may reach.
 */
export const MARGIN_MAX_KM = 1;

export class Margin {
  /** Where the feed was computed. */
  #anchor: Position | null = null;
  #km = 0;

  /** The feed is being computed for this position. */
  restart(here: Position | null): void {
    this.#anchor = here;
    this.#km = MARGIN_MAX_KM;
  }

  /** The edge of a job's circle is this far from here; it may be nearer to the anchor. */
  narrow(here: Position | null, job: OpenJob): void {
    if (!job.position || !here || !this.#anchor) return;
    const away = Math.abs(distanceKm(here, job.position) - job.radiusKm);
    const moved = here === this.#anchor ? 0 : distanceKm(this.#anchor, here);
    this.#km = Math.min(this.#km, away - moved);
  }

  /** Does the way to this position cross no edge? */
  covers(here: Position): boolean {
    return this.#anchor !== null && distanceKm(this.#anchor, here) < this.#km;
  }
}
