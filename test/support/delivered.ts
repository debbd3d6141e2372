/** Deliveries as a gateway hands them over a moment after they happened. */
import type { JobDeliveries } from '../../engine/pg/deliveries.ts';

/** All of them just now. */
export function delivered(jobId: string, ...driverIds: string[]): JobDeliveries {
  return { jobId, ageMs: 0, driverIds, afterMs: driverIds.map(() => 0) };
}
