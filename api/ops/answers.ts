/** The answers to operators about jobs, drivers and alarms. */
import { Type } from 'typebox';
import { DRIVER_STATES } from '../../engine/domain/fleet.ts';
import { JOB_STATUSES } from '../../engine/domain/job.ts';
import { CountersAnswer, JobAnswer, nextCursor } from '../answers.ts';

const closed = { additionalProperties: false };
const count = Type.Integer({ minimum: 0 });
const time = Type.String({ format: 'date-time' });
const maybe = (schema: Parameters<typeof Type.Union>[0][number]) =>
  Type.Union([schema, Type.Null()]);

const countsOf = <Name extends string>(names: readonly Name[], description: string) => {
  const fields = Object.fromEntries(names.map((name) => [name, count]));
  return Type.Object(fields as Record<Name, typeof count>, { ...closed, description });
};

const OpsJob = Type.Object(
  {
    ...JobAnswer.properties,
    offered: Type.Integer({ minimum: 0, description: 'Drivers; so are the next two' }),
    delivered: count,
    pushed: count,
    waiting_s: Type.Integer({
      minimum: 0,
      description: 'Since it was posted, until a driver took it or it was over',
    }),
  },
  closed,
);
export const OpsJobsAnswer = Type.Object(
  {
    jobs: Type.Array(OpsJob),
    counts: countsOf(
      JOB_STATUSES,
      'Whatever `status` was asked for; of what is over only the last 30 days',
    ),
    next_cursor: nextCursor,
  },
  closed,
);

const fleetFields = {
  id: Type.String(),
  name: maybe(Type.String()),
  state: Type.Enum([...DRIVER_STATES]),
  truck_type: maybe(Type.String()),
  lat: maybe(Type.Number()),
  lng: maybe(Type.Number()),
  position_at: maybe(time),
  position_age_s: maybe(count),
  jobs_held: count,
  phones: count,
};
export const OpsDriversAnswer = Type.Object(
  {
    drivers: Type.Array(Type.Object(fleetFields, closed)),
    counts: countsOf(DRIVER_STATES, 'Whatever `state` was asked for'),
    next_cursor: nextCursor,
  },
  closed,
);
export const OpsDriverAnswer = Type.Object(
  {
    ...fleetFields,
    blocked: Type.Boolean({ description: 'Blocked by an operator, whatever his token says' }),
    counters: CountersAnswer,
    offers: Type.Array(
      Type.Object(
        {
          job_id: Type.String(),
          address: Type.String(),
          wave: count,
          offered_at: time,
          delivered_at: maybe(time),
          outcome: Type.Enum(['open', 'accepted', 'released', 'declined', 'ignored', 'withdrawn']),
        },
        closed,
      ),
      { description: 'The newest 50 of the last 30 days' },
    ),
    changes: Type.Array(
      Type.Object(
        {
          at: time,
          what: Type.Enum(['approval_status', 'is_operator', 'online', 'truck_type', 'heard'], {
            description: '`heard`: heard from again after a silence, from when to when',
          }),
          from: maybe(Type.String()),
          to: maybe(Type.String()),
          by: Type.String({ description: 'role:id, or muster' }),
          reason: maybe(Type.String()),
        },
        closed,
      ),
      { description: 'The newest 50' },
    ),
  },
  closed,
);

export const AlarmAnswer = Type.Object(
  {
    name: Type.String(),
    value: Type.Union([Type.Number(), Type.Null()], {
      description: 'Null while nobody measures it',
    }),
    limit: Type.Number(),
    ok: Type.Boolean(),
    what_to_do: Type.String(),
  },
  closed,
);
export const OpsHealthHistoryAnswer = Type.Object(
  {
    step_s: Type.Integer({ description: 'Seconds from one point to the next' }),
    times: Type.Array(time, { description: 'Oldest first; none while nobody led' }),
    charts: Type.Array(
      Type.Object(
        {
          name: Type.String(),
          unit: Type.String(),
          lines: Type.Array(
            Type.Object(
              {
                name: Type.String(),
                limit: maybe(Type.Number({ description: 'Above it an alarm rings' })),
                values: Type.Array(maybe(Type.Number()), {
                  description: 'One for each time; null while nobody measured it',
                }),
              },
              closed,
            ),
          ),
        },
        closed,
      ),
    ),
  },
  closed,
);
export const OpsHealthAnswer = Type.Object({ alarms: Type.Array(AlarmAnswer) }, closed);
