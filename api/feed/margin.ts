/**
 * How far a driver may move before any job enters or leaves his range: a computation that cannot
 * change anything is skipped, so that the feed is exact and still cheap.
 */
import { distanceKm, type Position } from '../../engine/domain/distance.ts';
import type { OpenJob } from '../../engine/domain/visibility.ts';

/**
 * A driver who is near no circle's edge is computed anew after so much all the same: zones are
 * followed only that much wider than a job may reach.
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

  /** The edge of a job's circle is so far from here; from the anchor it may be nearer. */
  narrow(here: Position | null, job: OpenJob): void {
    if (!job.position || !here || !this.#anchor) return;
    const away = Math.abs(distanceKm(here, job.position) - job.radiusKm);
    this.#km = Math.min(this.#km, away - distanceKm(this.#anchor, here));
  }

  /** Is nothing crossed on the way to this position? */
  covers(here: Position): boolean {
    return this.#anchor !== null && distanceKm(this.#anchor, here) < this.#km;
  }
}
