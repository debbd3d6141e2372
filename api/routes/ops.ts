/** What operators and viewers look at: jobs, the fleet, one driver, and whether all is well. */
import type { Static } from 'typebox';
import { toOwnersJob, toTime } from '../../engine/domain/job.ts';
import { CHART_STEP_S, CHARTS, chartKey, type ListedDriver } from '../../engine/engine.ts';
import { READERS } from '../auth.ts';
import type { HttpApp, RouteDeps } from '../deps.ts';
import { describeRoute } from '../document.ts';
import { ApiError } from '../errors.ts';
import { identityOf } from '../guard.ts';
import {
  momentOf,
  OpsDriversQuery,
  OpsJobsQuery,
  pageOf,
  shown,
  statesOf,
  statusesOf,
  textOf,
  toPosition,
} from '../lists.ts';
import {
  OpsDriverAnswer,
  OpsDriversAnswer,
  OpsHealthAnswer,
  OpsHealthHistoryAnswer,
  OpsJobsAnswer,
} from '../ops/answers.ts';
import { UserParams } from '../schemas.ts';

const tag = 'operators';
const config = { roles: READERS, isExpensive: true };

export function opsRoutes(app: HttpApp, deps: RouteDeps): void {
  jobsRoute(app, deps);
  fleetRoutes(app, deps);
  healthRoutes(app, deps);
}

function healthRoutes(app: HttpApp, { engine }: RouteDeps): void {
  const { health } = engine.ops;
  app.route({
    method: 'GET',
    url: '/api/ops/health',
    config,
    schema: describeRoute({
      tag,
      summary: 'The alarms with their current values',
      answers: { 200: OpsHealthAnswer },
    }),
    handler: async () => ({ alarms: await health.alarms() }),
  });
  app.route({
    method: 'GET',
    url: '/api/ops/health/history',
    config,
    schema: describeRoute({
      tag,
      summary: 'The last quarter of an hour, in charts',
      description: 'Noted by the worker that leads.',
      answers: { 200: OpsHealthHistoryAnswer },
    }),
    handler: async (): Promise<Static<typeof OpsHealthHistoryAnswer>> => {
      const points = await health.history();
      return {
        step_s: CHART_STEP_S,
        times: points.map(({ at }) => toTime(at)),
        charts: CHARTS.map((chart) => ({
          name: chart.name,
          unit: chart.unit,
          lines: chart.lines.map((line) => ({
            name: line.name,
            limit: line.limit ?? null,
            values: points.map(({ values }) => values[chartKey(chart, line)] ?? null),
          })),
        })),
      };
    },
  });
}

function jobsRoute(app: HttpApp, { engine }: RouteDeps): void {
  app.route({
    method: 'GET',
    url: '/api/ops/jobs',
    config,
    schema: describeRoute({
      tag,
      summary: 'Jobs, with how many drivers each has reached',
      description:
        'A text is looked for in all jobs that are not over, and in the newest 1 000 of each status ' +
        'that is; `since` and `until` look further back.',
      query: OpsJobsQuery,
      answers: { 200: OpsJobsAnswer },
    }),
    handler: async (request): Promise<Static<typeof OpsJobsAnswer>> => {
      const { sub, role } = identityOf(request);
      const query = request.query;
      const page = shown(
        await engine.ops.jobs(`${role}:${sub}`, {
          ...pageOf(query),
          statuses: statusesOf(query.status),
          driverId: query.driver_id,
          customerId: query.customer_id,
          text: textOf(query.q),
          since: momentOf(query.since),
          until: momentOf(query.until),
          sort: query.sort ?? 'newest',
        }),
      );
      return {
        jobs: page.rows.map(({ row, reach, waitingS }) => ({
          ...toOwnersJob(row),
          ...reach,
          waiting_s: waitingS,
        })),
        counts: page.counts,
        next_cursor: page.nextCursor,
      };
    },
  });
}

function fleetRoutes(app: HttpApp, { engine }: RouteDeps): void {
  app.route({
    method: 'GET',
    url: '/api/ops/drivers',
    config,
    schema: describeRoute({
      tag,
      summary: 'Drivers with their states, by id or nearest first',
      query: OpsDriversQuery,
      answers: { 200: OpsDriversAnswer },
    }),
    handler: async (request): Promise<Static<typeof OpsDriversAnswer>> => {
      const { sub, role } = identityOf(request);
      const query = request.query;
      const page = shown(
        await engine.ops.drivers(`${role}:${sub}`, {
          ...pageOf(query),
          states: statesOf(query.state),
          text: textOf(query.q),
          near: (query.near && toPosition(query.near)) || undefined,
        }),
      );
      return {
        drivers: page.rows.map(fleetView),
        counts: page.counts,
        next_cursor: page.nextCursor,
      };
    },
  });
  app.route({
    method: 'GET',
    url: '/api/ops/drivers/:id',
    config,
    schema: describeRoute({
      tag,
      summary: 'One driver: his state, counters, last offers and changes',
      params: UserParams,
      answers: { 200: OpsDriverAnswer },
      errors: ['driver_not_found'],
    }),
    handler: async (request): Promise<Static<typeof OpsDriverAnswer>> => {
      const found = await engine.ops.driver(request.params.id);
      if (!found) throw new ApiError('driver_not_found');
      return {
        ...fleetView(found.driver),
        blocked: await engine.users.isBlocked(found.driver.id),
        counters: found.counters,
        offers: found.offers.map((offer) => ({
          job_id: offer.jobId,
          address: offer.address,
          wave: offer.wave,
          offered_at: toTime(offer.offeredAt),
          delivered_at: offer.deliveredAt === null ? null : toTime(offer.deliveredAt),
          outcome: offer.outcome,
        })),
        changes: found.changes.map(({ at, what, was, became, actor, reason }) => ({
          at: toTime(at),
          what,
          from: was,
          to: became,
          by: actor,
          reason,
        })),
      };
    },
  });
}

function fleetView(driver: ListedDriver): Static<typeof OpsDriversAnswer>['drivers'][number] {
  return {
    id: driver.id,
    name: driver.name,
    state: driver.state,
    truck_type: driver.truckType,
    lat: driver.lat,
    lng: driver.lng,
    position_at: driver.positionAt === null ? null : toTime(driver.positionAt),
    position_age_s: driver.positionAgeS,
    jobs_held: driver.jobsHeld,
    phones: driver.phones,
  };
}
