/** A driver's calls about himself, and operators' calls about any driver. */
import type { Static } from 'typebox';
import { toTime } from '../../engine/domain/job.ts';
import type { DriverChange, DriverRow, Engine } from '../../engine/engine.ts';
import { DriverAnswer, MeAnswer } from '../answers.ts';
import type { Identity } from '../auth.ts';
import type { HttpApp, RouteDeps } from '../deps.ts';
import { describeRoute } from '../document.ts';
import { ApiError, invalid } from '../errors.ts';
import { actorOf, identityOf } from '../guard.ts';
import {
  AvailabilityBody,
  DriverBody,
  LocationBody,
  ProfileBody,
  toFix,
  UserParams,
} from '../schemas.ts';
import { composed, spelled } from '../text.ts';
import { driverView } from '../views.ts';

const tag = 'drivers';
const driver = { roles: ['driver'] } as const;

export function driverRoutes(app: HttpApp, { engine }: RouteDeps): void {
  profileRoutes(app, engine);
  app.route({
    method: 'PUT',
    url: '/api/drivers/me/availability',
    config: driver,
    schema: describeRoute({
      tag,
      summary: 'Go online or offline',
      description: 'Only an approved driver may go online; offline anybody who has a profile.',
      body: AvailabilityBody,
      answers: { 200: DriverAnswer },
      errors: ['not_approved'],
    }),
    handler: async (request) => {
      const { online } = request.body;
      const result = await engine.drivers.setAvailability(identityOf(request).sub, online);
      if (!result.ok) throw new ApiError(result.code);
      return driverView(result.driver);
    },
  });
  app.route({
    method: 'POST',
    url: '/api/drivers/location',
    config: driver,
    schema: describeRoute({
      tag,
      summary: 'Say where you are',
      description: 'A fix older than the last one gets the same answer and is ignored.',
      body: LocationBody,
      answers: { 204: null },
      errors: ['driver_not_found', 'invalid_location'],
    }),
    handler: async (request, reply) => {
      const known = await engine.drivers.know(identityOf(request).sub);
      if (!known) throw new ApiError('driver_not_found');
      // His positions go to nobody.
      if (known.suspended) return reply.code(204).send();
      const fix = toFix(request.body, engine.now());
      await engine.drivers.track(known, fix);
      return reply.code(204).send();
    },
  });
}

function profileRoutes(app: HttpApp, engine: Engine): void {
  app.route({
    method: 'GET',
    url: '/api/drivers/me',
    config: { ...driver, isExpensive: true },
    schema: describeRoute({
      tag,
      summary: 'Your profile, availability, last position and counters',
      answers: { 200: MeAnswer },
      errors: ['driver_not_found'],
    }),
    handler: async (request) => readMe(engine, identityOf(request).sub),
  });
  app.route({
    method: 'PUT',
    url: '/api/drivers/me',
    config: driver,
    schema: describeRoute({
      tag,
      summary: 'Create or change your profile',
      description: 'A new driver is `pending` until an operator approves him.',
      body: ProfileBody,
      answers: { 200: DriverAnswer },
    }),
    handler: async (request) => {
      const identity = identityOf(request);
      return driverView(await saveDriver(engine, identity.sub, request.body, identity));
    },
  });
  app.route({
    method: 'PUT',
    url: '/api/drivers/:id',
    config: { roles: ['operator', 'service'] },
    schema: describeRoute({
      tag: 'operators',
      summary: 'Create, change, approve or suspend a driver',
      description:
        'Fields left out keep their values. Takes effect on live sockets at once. A driver who is ' +
        'suspended keeps the jobs that he holds, unless `release_jobs` gives them back: until then ' +
        'nobody but an operator can move them.',
      params: UserParams,
      body: DriverBody,
      answers: { 200: DriverAnswer },
    }),
    handler: async (request) => {
      const { id } = request.params;
      const body = request.body;
      if (body.release_jobs && body.approval_status !== 'suspended') {
        const rule = 'comes with approval_status suspended only';
        throw invalid([{ field: 'release_jobs', rule }]);
      }
      const row = await saveDriver(engine, id, body, identityOf(request));
      // He cannot take them again: since his row says suspended, he cannot claim.
      if (body.release_jobs) await engine.jobs.releaseAllOf(id, actorOf(identityOf(request)));
      return driverView(row);
    },
  });
}

async function saveDriver(
  engine: Engine,
  id: string,
  body: Static<typeof DriverBody>,
  by: Identity,
): Promise<DriverRow> {
  const { name, truck_type, approval_status, is_operator } = body;
  const isNameless = typeof name !== 'string' && !(await engine.drivers.find(id));
  if (isNameless) throw invalid([{ field: 'name', rule: 'is required for a new driver' }]);
  const change: DriverChange = {
    by: actorOf(by),
    ...(typeof name === 'string' && { name: composed(name) }),
    ...(truck_type !== undefined && { truckType: truck_type && spelled(truck_type) }),
    ...(typeof approval_status === 'string' && { approvalStatus: approval_status }),
    ...(typeof is_operator === 'boolean' && { isOperator: is_operator }),
  };
  return engine.drivers.change(id, change);
}

async function readMe(engine: Engine, id: string): Promise<Static<typeof MeAnswer>> {
  const [row, counters, known] = await Promise.all([
    engine.drivers.find(id),
    engine.counters.of(id),
    // Redis has the newest position; without it the one in Postgres is at most 10 s behind.
    engine.drivers.know(id).catch(() => null),
  ]);
  if (!row) throw new ApiError('driver_not_found');
  const fix = known?.fix ?? lastFix(row);
  return {
    ...driverView(row),
    position: fix && { lat: fix.lat, lng: fix.lng, recorded_at: toTime(fix.at) },
    total_jobs: row.totalJobs,
    counters,
  };
}

function lastFix(row: DriverRow): { lat: number; lng: number; at: number } | null {
  if (row.lat === null || row.lng === null || row.positionAt === null) return null;
  return { lat: row.lat, lng: row.lng, at: row.positionAt };
}
