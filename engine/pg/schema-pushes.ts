/**
 * The tables of what went out: pushes and deliveries, many to a row. Part of the schema; the tables of the
 * version before the ledger in windows stay until retention has emptied them.
 */
import {
  bigserial,
  boolean,
  index,
  integer,
  pgEnum,
  pgTable,
  primaryKey,
  smallint,
  sql,
  text,
  uniqueIndex,
  uuid,
} from './drizzle.ts';
import { folded, time } from './schema-columns.ts';

export const pushOutcome = pgEnum('push_outcome', [
  'unknown',
  'sent',
  'rejected',
  'never_processed',
  'not_sent',
]);

/**
 * Recorded pushes, many to a row: the n-th element of each array belongs to the n-th attempt. Attempts
 * are appended before they are sent, and only by the run that found the row at its `revision`. What is
 * known afterwards is null until the first of them has an outcome.
 */
const attemptColumns = () => ({
  revision: integer('revision').notNull().default(1),
  /** When the first attempt began. */
  at: time('at').notNull().defaultNow(),
  /** How long after `at` each began; null: all began at `at`. */
  afterMs: integer('after_ms').array(),
  /** The last eight hex digits of each device token, as a number. */
  suffixes: integer('suffixes').array().notNull(),
  outcomes: pushOutcome('outcomes').array(),
  statuses: smallint('statuses').array(),
  reasons: text('reasons').array(),
  latenciesMs: smallint('latencies_ms').array(),
  /** Under which Apple's console finds a push of the sandbox; production gives none. */
  apnsUniqueIds: uuid('apns_unique_ids').array(),
});

/** The pushes to a hundred of a wave's candidates. */
export const pushWindows = pgTable(
  'push_windows',
  {
    jobId: text('job_id').notNull(),
    wave: integer('wave').notNull(),
    /** Where the window begins in `job_waves.candidate_ids`, from 0. */
    firstPlace: integer('first_place').notNull(),
    /** Which candidate each attempt went to, counted from `first_place`. */
    places: smallint('places').array().notNull(),
    ...attemptColumns(),
  },
  (t) => [primaryKey({ columns: [t.jobId, t.wave, t.firstPlace] })],
);

/** The pushes of a notification to its user's phones. */
export const notificationPushes = pgTable('notification_pushes', {
  notificationId: text('notification_id').primaryKey(),
  ...attemptColumns(),
});

/** From the version before this: one row a push. Read, no longer written. */
export const pushAttempts = pgTable(
  'push_attempts',
  {
    id: bigserial('id', { mode: 'number' }).primaryKey(),
    jobId: text('job_id').notNull(),
    /** 0 when it is not part of a wave. */
    wave: integer('wave').notNull().default(0),
    userId: text('user_id').notNull(),
    app: text('app').notNull(),
    lane: text('lane').notNull(),
    kind: text('kind').notNull(),
    notificationId: text('notification_id'),
    /** The last characters only: a device token is private. */
    tokenSuffix: text('token_suffix').notNull(),
    apnsId: text('apns_id').notNull(),
    /** Under which Apple's console finds a push of the sandbox; production gives none. */
    apnsUniqueId: text('apns_unique_id'),
    at: time('at').notNull().defaultNow(),
    /** `unknown` from the moment before it is sent until its answer is recorded. */
    outcome: text('outcome').notNull().default('unknown'),
    status: integer('status'),
    reason: text('reason'),
    latencyMs: integer('latency_ms'),
    /** Another attempt has taken its place. */
    resent: boolean('resent').notNull().default(false),
  },
  (t) => [
    index('push_attempts_job').on(t.jobId, t.wave, t.userId),
    index('push_attempts_notification').on(t.notificationId),
    uniqueIndex('push_attempts_apns_id').on(t.apnsId),
  ],
);

/** From the version before this: whom it has pushed a wave to. Read, no longer written. */
export const pushMarks = pgTable(
  'push_marks',
  {
    jobId: text('job_id').notNull(),
    wave: integer('wave').notNull(),
    driverId: text('driver_id').notNull(),
    at: time('at').notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.jobId, t.wave, t.driverId] })],
);

/** Which drivers' sockets were given a job, by gateway; a driver is listed once. */
export const deliveries = pgTable(
  'deliveries',
  {
    jobId: text('job_id').notNull(),
    /** A gateway process. */
    gateway: text('gateway').notNull(),
    /** When the first delivery was. */
    at: time('at').notNull().defaultNow(),
    driverIds: text('driver_ids').array().notNull(),
    /** How long after `at` each delivery was. */
    afterMs: integer('after_ms').array().notNull(),
    folded: folded(),
  },
  (t) => [
    primaryKey({ columns: [t.jobId, t.gateway] }),
    index('deliveries_unfolded').using('gin', t.driverIds).where(sql`not ${t.folded}`),
  ],
);

/** From the version before this: one row per (job, gateway flush). Read, no longer written. */
export const jobDeliveries = pgTable(
  'job_deliveries',
  {
    id: bigserial('id', { mode: 'number' }).primaryKey(),
    jobId: text('job_id').notNull(),
    at: time('at').notNull().defaultNow(),
    driverIds: text('driver_ids').array().notNull(),
    folded: folded(),
  },
  (t) => [
    index('job_deliveries_job').on(t.jobId),
    index('job_deliveries_unfolded').using('gin', t.driverIds).where(sql`not ${t.folded}`),
  ],
);
