/** What operators look at: jobs with their reach, the fleet, one driver's history, and the alarms. */
import type { EngineContext } from '../context.ts';
import type { Counters } from '../history/counters.ts';
import type { Cursors, InvalidCursor } from '../lists/cursors.ts';
import type { DriverCounters } from '../pg/counters.ts';
import { type DriverEventRow, listDriverEvents } from '../pg/driver-history.ts';
import { type DriverOffer, listOffers } from '../pg/ops-drivers.ts';
import {
  type FleetDriver,
  type FleetPage,
  type FleetQuery,
  findFleetDriver,
  listDrivers,
} from './drivers.ts';
import type { Health } from './health.ts';
import { listOpsJobs, type OpsJobsPage, type OpsJobsQuery } from './jobs.ts';

/** Offers and changes on a driver's page. */
const SHOWN = 50;

export interface OpsDriver {
  driver: FleetDriver;
  counters: DriverCounters;
  /** Newest first; so are the changes. */
  offers: DriverOffer[];
  changes: DriverEventRow[];
}

export interface Ops {
  /** Takes only cursors given to this `caller`; so does `drivers`. */
  jobs(caller: string, query: OpsJobsQuery): Promise<({ ok: true } & OpsJobsPage) | InvalidCursor>;
  drivers(caller: string, query: FleetQuery): Promise<({ ok: true } & FleetPage) | InvalidCursor>;
  /** Null when there is no such driver. */
  driver(id: string): Promise<OpsDriver | null>;
  health: Health;
}

export function createOps(
  ctx: EngineContext,
  parts: { cursors: Cursors; counters: Counters; health: Health },
): Ops {
  const { cursors, counters, health } = parts;
  return {
    jobs: (caller, query) => listOpsJobs(ctx, cursors, caller, query),
    drivers: (caller, query) => listDrivers(ctx, cursors, caller, query),
    async driver(id) {
      const driver = await findFleetDriver(ctx, id);
      if (!driver) return null;
      const [counted, offers, changes] = await Promise.all([
        counters.of(id),
        listOffers(ctx.db, id, SHOWN),
        listDriverEvents(ctx.db, id, SHOWN),
      ]);
      return { driver, counters: counted, offers, changes };
    },
    health,
  };
}
