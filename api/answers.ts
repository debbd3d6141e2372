/**
 * The answers of the API as TypeBox schemas, for the generated documents. `views.ts` and the engine
 * build the answers; tests check them against these schemas.
 */
import { type TOptional, Type } from 'typebox';
import { EXPLAIN_REASONS, type ExplainReason } from '../engine/domain/because.ts';
import { JOB_STATUSES } from '../engine/domain/job.ts';
import { closed, count, Driver, Job, maybe, time } from '../engine/domain/shapes.ts';

export { Driver as DriverAnswer, DriverCard, Job as JobAnswer } from '../engine/domain/shapes.ts';

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
    ...Driver.properties,
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

export const AcceptAnswer = Type.Object({ success: Type.Literal(true), job: Job }, closed);
export const PostAnswer = Type.Object({ job: Job }, closed);
/** The list `available`, which is short and changes all the time. */
export const AvailableAnswer = Type.Object({ jobs: Type.Array(Job) }, closed);
export const nextCursor = maybe(Type.String({ description: 'Asks for the next page' }));
export const JobsAnswer = Type.Object({ jobs: Type.Array(Job), next_cursor: nextCursor }, closed);
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
    name: maybe(Type.String()),
    distance_km: maybe(km),
    reason: Type.Enum([...EXPLAIN_REASONS], {
      description:
        'The first reason, in this order, why he was not offered the job in the latest wave, or why ' +
        'it is not in his feed now; `sees_it`: nothing hides it. Of a job that is settled, now: why ' +
        'it would not be in his feed, else `expired` or `closed`.',
    }),
    value: Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()], {
      description: 'The value seen: a status, seconds since he was heard from, jobs held, km …',
    }),
    limit: Type.Union([Type.String(), Type.Number(), Type.Null()], {
      description: 'The limit it was compared with, if there is one',
    }),
    waves: Type.Array(Type.Object({ wave: count, distance_km: km }, closed)),
    offered: Type.Boolean({ description: 'He was a candidate, or the job was in his feed' }),
    delivered: Type.Boolean({ description: 'A socket of his was given the job' }),
    delivered_at: maybe(time),
    pushed: Type.Boolean({ description: 'Apple accepted a push of the job to him' }),
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
    job: Job,
    waves: Type.Array(
      Type.Object(
        {
          wave: count,
          radius_km: km,
          opened_at: time,
          chosen_at: maybe(time),
          candidate_count: Type.Integer({
            minimum: 0,
            description: 'Including those beyond the push cap',
          }),
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
export const Checks = Type.Object(
  { redis: state, postgres: state, scripts: state, feed: state },
  closed,
);
export const ReadinessAnswer = Type.Object(
  { status: Type.Enum(['ready', 'not_ready']), checks: Checks },
  closed,
);
