/**
 * What callers are answered, as TypeBox schemas for the generated documents. Answers are built by
 * `views.ts` and the engine; these schemas describe them and are checked against them in tests.
 */
import { type TOptional, Type } from 'typebox';
import { EXPLAIN_REASONS, type ExplainReason } from '../engine/domain/because.ts';
import { JOB_STATUSES } from '../engine/domain/job.ts';

const time = Type.String({ format: 'date-time' });
const maybe = (schema: Parameters<typeof Type.Union>[0][number]) =>
  Type.Union([schema, Type.Null()]);
const closed = { additionalProperties: false };
const count = Type.Integer({ minimum: 0 });

export const DriverCard = Type.Object(
  {
    id: Type.String(),
    name: maybe(Type.String()),
    truck_type: maybe(Type.String()),
    avg_rating: maybe(Type.Number()),
    total_jobs: Type.Integer({ minimum: 0, description: 'Completed ones' }),
  },
  closed,
);

export const JobAnswer = Type.Object(
  {
    id: Type.String({ maxLength: 64 }),
    status: Type.Enum([...JOB_STATUSES]),
    version: Type.Integer({ minimum: 1, description: 'A lower one than you hold is old news' }),
    address: Type.String(),
    lat: maybe(Type.Number()),
    lng: maybe(Type.Number()),
    total_price: Type.Number(),
    truck_type: maybe(Type.String()),
    notes: maybe(Type.String()),
    driver_id: maybe(Type.String()),
    created_at: time,
    updated_at: time,
    expires_at: maybe(time),
    accepted_at: maybe(time),
    customer_id: Type.Optional(Type.String({ description: 'For its customer and operators' })),
    distance_km: Type.Optional(Type.Number({ description: 'In the list of available jobs' })),
    driver: Type.Optional(DriverCard),
  },
  closed,
);

const driverFields = {
  id: Type.String(),
  name: maybe(Type.String()),
  truck_type: maybe(Type.String()),
  approval_status: Type.Enum(['pending', 'approved', 'suspended']),
  is_operator: Type.Boolean(),
  online: Type.Boolean(),
};
export const DriverAnswer = Type.Object(driverFields, closed);

export const CountersAnswer = Type.Object(
  {
    offered: count,
    delivered: count,
    accepted: count,
    declined: count,
    ignored: count,
    withdrawn: count,
    acceptance_rate: maybe(Type.Number({ minimum: 0, maximum: 1 })),
  },
  { ...closed, description: 'Of the last 30 days; each job counts once' },
);

export const MeAnswer = Type.Object(
  {
    ...driverFields,
    position: maybe(
      Type.Object({ lat: Type.Number(), lng: Type.Number(), recorded_at: time }, closed),
    ),
    total_jobs: count,
    counters: CountersAnswer,
  },
  closed,
);

const NotificationAnswer = Type.Object(
  {
    id: Type.String(),
    type: Type.String(),
    title: Type.String(),
    body: Type.String(),
    data: Type.Object({ job_id: Type.String(), type: Type.String(), version: count }, closed),
    created_at: time,
    read_at: maybe(time),
  },
  closed,
);

const Transition = Type.Object(
  {
    type: Type.String({ description: 'What happened, e.g. job.accepted' }),
    at: time,
    version: count,
    status: Type.Enum([...JOB_STATUSES]),
    driver_id: Type.Optional(Type.String()),
    actor: Type.String({ description: 'role:id, or muster' }),
    reason: Type.Optional(Type.String()),
  },
  closed,
);
const Outcome = Type.Enum(['sent', 'rejected', 'never_processed', 'unknown', 'not_sent']);
const PushAttempt = Type.Object(
  {
    type: Type.Literal('push.attempted'),
    at: time,
    user_id: Type.String(),
    role: Type.Enum(['driver', 'customer']),
    lane: Type.Enum(['critical', 'nearby']),
    kind: Type.String(),
    wave: Type.Optional(count),
    token_suffix: Type.String(),
    outcome: Outcome,
    status: Type.Optional(Type.Integer()),
    reason: Type.Optional(Type.String()),
    apns_id: Type.String(),
    apns_unique_id: Type.Optional(
      Type.String({ description: "finds it in Apple's console; sandbox only" }),
    ),
  },
  closed,
);

export const AcceptAnswer = Type.Object({ success: Type.Literal(true), job: JobAnswer }, closed);
export const PostAnswer = Type.Object({ job: JobAnswer }, closed);
/** Of `available`, which is short and changes all the time. */
export const AvailableAnswer = Type.Object({ jobs: Type.Array(JobAnswer) }, closed);
export const nextCursor = maybe(Type.String({ description: 'Asks for the next page' }));
export const JobsAnswer = Type.Object(
  { jobs: Type.Array(JobAnswer), next_cursor: nextCursor },
  closed,
);
export const ReadAnswer = NotificationAnswer;
export const NotificationsAnswer = Type.Object(
  { notifications: Type.Array(NotificationAnswer), next_cursor: nextCursor },
  closed,
);
export const TimelineAnswer = Type.Object(
  { events: Type.Array(Type.Union([Transition, PushAttempt])) },
  closed,
);
export const PushTestAnswer = Type.Object(
  {
    sent: count,
    results: Type.Array(
      Type.Object(
        {
          token_suffix: Type.String(),
          status: Type.Union([Type.Integer(), Type.Null()]),
          reason: Type.Optional(Type.String()),
        },
        closed,
      ),
    ),
  },
  closed,
);
const km = Type.Number({ minimum: 0 });
const ExplainedDriver = Type.Object(
  {
    driver_id: Type.String(),
    distance_km: maybe(km),
    reason: Type.Enum([...EXPLAIN_REASONS], {
      description:
        'The first reason, in this order, why he was not offered the job in the latest wave, or why ' +
        'it is not in his feed now; `sees_it`: nothing hides it. Of a job that is settled, now: why ' +
        'it would not be in his feed, else `expired` or `closed`.',
    }),
    value: Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()], {
      description: 'The value seen: a status, seconds since he was heard of, jobs held, km …',
    }),
    limit: Type.Union([Type.String(), Type.Number(), Type.Null()], {
      description: 'What it was held against, where there is a limit',
    }),
    waves: Type.Array(Type.Object({ wave: count, distance_km: km }, closed)),
    offered: Type.Boolean({ description: 'He was a candidate, or the job was in his feed' }),
    delivered: Type.Boolean({ description: 'A socket of his was given the job' }),
    delivered_at: maybe(time),
    pushed: Type.Boolean({ description: 'Apple took a push of the job to him' }),
    pushes: Type.Array(
      Type.Object(
        {
          wave: count,
          at: time,
          outcome: Outcome,
          status: maybe(Type.Integer()),
          reason: maybe(Type.String()),
        },
        closed,
      ),
    ),
    refused: maybe(
      Type.Object(
        { kind: Type.Enum(['declined', 'released']), reason: maybe(Type.String()), at: time },
        closed,
      ),
    ),
  },
  closed,
);
export const ExplainAnswer = Type.Object(
  {
    at: time,
    job: JobAnswer,
    waves: Type.Array(
      Type.Object(
        {
          wave: count,
          radius_km: km,
          opened_at: time,
          chosen_at: maybe(time),
          candidate_count: Type.Integer({ minimum: 0, description: 'Also beyond the push cap' }),
          candidates: Type.Array(
            Type.Object({ driver_id: Type.String(), distance_km: km }, closed),
          ),
        },
        closed,
      ),
    ),
    counts: Type.Object(
      Object.fromEntries(EXPLAIN_REASONS.map((reason) => [reason, Type.Optional(count)])) as Record<
        ExplainReason,
        TOptional<typeof count>
      >,
      { ...closed, description: 'How many of the others each reason kept out' },
    ),
    considered: Type.Array(ExplainedDriver),
    others: Type.Array(ExplainedDriver),
    complete: Type.Boolean({ description: 'False when a list was cut at its limit' }),
  },
  closed,
);

export const UserAnswer = Type.Object({ id: Type.String(), blocked: Type.Boolean() }, closed);

const state = Type.Enum(['ok', 'failed']);
export const ReadinessAnswer = Type.Object(
  {
    status: Type.Enum(['ready', 'not_ready']),
    checks: Type.Object({ redis: state, postgres: state, scripts: state, feed: state }, closed),
  },
  closed,
);
