/**
 * The frames that the server sends, as TypeBox schemas: `asyncapi.json` is made of them, and tests check
 * every frame that they see against them.
 */
import { type Static, Type } from 'typebox';
import { DRIVER_STATES } from '../../engine/domain/fleet.ts';
import { JOB_STATUSES } from '../../engine/domain/job.ts';
import { closed, count, DriverCard, Job, maybe, time } from '../../engine/domain/shapes.ts';
import { Checks } from '../answers.ts';
import { AlarmAnswer } from '../ops/answers.ts';

const version = Type.Integer({ minimum: 1, description: 'A lower one than you hold is old news' });
const JobId = Type.String({ maxLength: 64 });

const Handle = Type.Integer({ minimum: 1, description: 'Names a driver on this connection' });
const DriverState = Type.Enum([...DRIVER_STATES]);
const place = { lat: maybe(Type.Number()), lng: maybe(Type.Number()), at: maybe(time) };
const OpsHealth = Type.Object(
  {
    at: time,
    degraded_since: maybe(time),
    checks: Checks,
    jobs: Type.Record(Type.String(), count, { description: 'Open and held ones, by status' }),
    oldest_open_at: maybe(time),
    drivers: Type.Record(Type.String(), count, { description: 'By state' }),
    alarms: Type.Union([Type.Array(AlarmAnswer), Type.Null()], {
      description: 'As GET /api/ops/health has them; null while they cannot be read',
    }),
  },
  closed,
);

export const SERVER_FRAMES = {
  hello: Type.Object(
    { session_id: Type.String(), heartbeat_s: Type.Number(), server_time: time },
    { ...closed, description: 'The first frame' },
  ),
  'feed:snapshot': Type.Object(
    {
      jobs: Type.Array(Job),
      reason: Type.Enum(['connect', 'resync', 'moved', 'availability']),
    },
    { ...closed, description: 'Replaces all that the client holds' },
  ),
  'job:new': Type.Object(Job.properties, {
    ...closed,
    description: 'To drivers: add this job, or replace what you hold of it',
  }),
  'job:status': Type.Object(
    {
      job_id: JobId,
      status: Type.Enum([...JOB_STATUSES]),
      version,
      driver_id: Type.Optional(Type.String()),
    },
    {
      ...closed,
      description: 'A job changed; to a driver any status that is not claimable means: remove it',
    },
  ),
  'job:removed': Type.Object(
    {
      job_id: JobId,
      version,
      reason: Type.Enum(['out_of_range', 'declined', 'withdrawn', 'reserved']),
    },
    { ...closed, description: "It left this driver's feed" },
  ),
  'job:driver-assigned': Type.Object(
    { job_id: JobId, driver: DriverCard },
    { ...closed, description: 'To customers: who is coming' },
  ),
  'driver:location': Type.Object(
    {
      job_id: JobId,
      lat: Type.Number(),
      lng: Type.Number(),
      heading: maybe(Type.Number()),
      recorded_at: time,
    },
    { ...closed, description: 'To customers: at most once a second and job' },
  ),
  notification: Type.Object(
    {
      id: Type.String(),
      type: Type.String(),
      title: Type.String(),
      body: Type.String(),
      data: Type.Object({ job_id: JobId, type: Type.String(), version }, closed),
    },
    { ...closed, description: 'An in-app notification' },
  ),
  'feed:degraded': Type.Object(
    { since: time },
    { ...closed, description: 'The feed may be stale from now on' },
  ),
  'feed:live': Type.Object({ since: time }, { ...closed, description: 'The feed is exact again' }),
  'ops:snapshot': Type.Object(
    {
      drivers: Type.Array(
        Type.Tuple([Handle, Type.String(), DriverState, place.lat, place.lng, place.at], {
          description: 'Handle, id, state, lat, lng, time of the position',
        }),
      ),
      jobs: Type.Array(Job, { description: 'All that are open or held' }),
      health: OpsHealth,
    },
    { ...closed, description: 'To operators and viewers: replaces all that the client holds' },
  ),
  'ops:driver': Type.Object(
    {
      handle: Handle,
      id: Type.String(),
      name: maybe(Type.String()),
      state: DriverState,
      ...place,
    },
    { ...closed, description: 'To operators: a driver is new, or in another state' },
  ),
  'ops:fixes': Type.Array(Type.Number(), {
    description:
      'To operators, once a second: handle, lat, lng, handle, lat, lng, … of drivers who moved within the view',
  }),
  'ops:cells': Type.Record(Type.String(), count, {
    description:
      'To operators instead of ops:fixes when more than 5 000 are in view: counts by H3 cell',
  }),
  'ops:job': Type.Object(Job.properties, {
    ...closed,
    description: 'To operators: a job as it is now; one that is over leaves the list',
  }),
  'ops:health': Type.Object(OpsHealth.properties, {
    ...closed,
    description: 'To operators every 2 s',
  }),
  ack: Type.Object(
    {
      ref: Type.String({ maxLength: 64 }),
      ok: Type.Boolean(),
      code: Type.Optional(Type.String()),
      data: Type.Optional(Type.Object({}, { description: 'For accept: the HTTP body' })),
    },
    { ...closed, description: 'The answer to a frame that carried a ref' },
  ),
  error: Type.Object(
    {
      code: Type.String(),
      message: Type.String(),
      retry_after_ms: Type.Optional(Type.Integer({ minimum: 0 })),
    },
    { ...closed, description: 'Precedes every close by the server (except 1002, 1007, 1009)' },
  ),
};

export type ServerEvent = keyof typeof SERVER_FRAMES;
/** The data of each frame, by its event. */
export type ServerEvents = { [E in ServerEvent]: Static<(typeof SERVER_FRAMES)[E]> };
