/**
 * The schema: Postgres is the truth, everything in Redis can be rebuilt from these tables.
 * Operators may read `jobs(id, status, driver_id, customer_id, version)` and
 * `device_tokens(token, user_id)` (contract section 10). Migrations are generated from this file
 * and its neighbours `schema-*.ts` with `npm run db:generate`, and only ever go forward.
 */
import {
  bigint,
  bigserial,
  boolean,
  doublePrecision,
  index,
  integer,
  jsonb,
  numeric,
  pgTable,
  primaryKey,
  smallint,
  sql,
  text,
  uniqueIndex,
} from './drizzle.ts';
import { createdAt, folded, time } from './schema-columns.ts';

export const drivers = pgTable(
  'drivers',
  {
    id: text('id').primaryKey(),
    name: text('name'),
    truckType: text('truck_type'),
    approvalStatus: text('approval_status').notNull().default('pending'),
    isOperator: boolean('is_operator').notNull().default(false),
    online: boolean('online').notNull().default(false),
    /** Grows with every change that decides what he is offered. */
    rev: bigint('rev', { mode: 'number' }).notNull().default(1),
    /** The rev that Redis is known to hold; while it is behind `rev`, maintenance has work. */
    syncedRev: bigint('synced_rev', { mode: 'number' }).notNull().default(0),
    lat: doublePrecision('lat'),
    lng: doublePrecision('lng'),
    /** The phone's time of the fix, capped at the server's. */
    positionAt: time('position_at'),
    seenAt: time('seen_at'),
    totalJobs: integer('total_jobs').notNull().default(0),
    createdAt: createdAt(),
    updatedAt: time('updated_at').notNull().defaultNow(),
  },
  (t) => [
    index('drivers_unsynced').on(t.id).where(sql`${t.syncedRev} < ${t.rev}`),
    index('drivers_online').on(t.id).where(sql`${t.online}`),
  ],
);

export const jobs = pgTable(
  'jobs',
  {
    id: text('id').primaryKey(),
    zone: text('zone').notNull(),
    status: text('status').notNull().default('pending'),
    version: integer('version').notNull().default(1),
    /** The version that Redis and the people concerned are known to have. */
    settledVersion: integer('settled_version').notNull().default(0),
    customerId: text('customer_id').notNull(),
    /** Posted with the customer's own token: such jobs count for CUSTOMER_MAX_OPEN_JOBS. */
    byCustomer: boolean('by_customer').notNull().default(false),
    driverId: text('driver_id'),
    address: text('address').notNull(),
    lat: doublePrecision('lat'),
    lng: doublePrecision('lng'),
    totalPrice: numeric('total_price', { precision: 12, scale: 2 }).notNull(),
    truckType: text('truck_type'),
    notes: text('notes'),
    wave: integer('wave').notNull().default(1),
    waveStep: smallint('wave_step').notNull().default(0),
    radiusKm: doublePrecision('radius_km').notNull(),
    /** When the next wave opens; null after the last. */
    nextWaveAt: time('next_wave_at'),
    expiresAt: time('expires_at'),
    acceptedAt: time('accepted_at'),
    createdAt: createdAt(),
    /** When the job was over. */
    updatedAt: time('updated_at').notNull().defaultNow(),
    folded: folded(),
  },
  (t) => [
    index('jobs_open').on(t.zone).where(sql`${t.status} in ('pending', 'confirmed', 'assigned')`),
    index('jobs_unsettled').on(t.updatedAt).where(sql`${t.settledVersion} < ${t.version}`),
    index('jobs_expiring')
      .on(t.expiresAt)
      .where(sql`${t.status} in ('pending', 'confirmed', 'assigned')`),
    index('jobs_next_wave')
      .on(t.nextWaveAt)
      .where(sql`${t.status} in ('pending', 'confirmed', 'assigned')`),
    // Lists read each status they ask for newest first, and no row more than they show.
    index('jobs_of_customer').on(t.customerId, t.status, t.createdAt, t.id),
    index('jobs_customer_open')
      .on(t.customerId)
      .where(sql`${t.byCustomer} and ${t.status} in ('pending', 'confirmed', 'assigned')`),
    index('jobs_of_driver').on(t.driverId, t.status, t.createdAt, t.id),
    index('jobs_by_status').on(t.status, t.createdAt, t.id),
    index('jobs_driver_unfolded').on(t.driverId).where(sql`not ${t.folded}`),
    index('jobs_over_unfolded')
      .on(t.updatedAt)
      .where(sql`not ${t.folded} and ${t.status} in ('completed', 'cancelled', 'expired')`),
    index('jobs_over')
      .on(t.updatedAt)
      .where(sql`${t.status} in ('completed', 'cancelled', 'expired')`),
  ],
);

export const jobEvents = pgTable(
  'job_events',
  {
    id: bigserial('id', { mode: 'number' }).primaryKey(),
    jobId: text('job_id').notNull(),
    at: time('at').notNull().defaultNow(),
    type: text('type').notNull(),
    version: integer('version').notNull(),
    status: text('status').notNull(),
    driverId: text('driver_id'),
    actor: text('actor').notNull(),
    reason: text('reason'),
  },
  (t) => [
    index('job_events_job').on(t.jobId, t.id),
    // For `explain`: what a driver held at some moment.
    index('job_events_accepted').on(t.driverId, t.at).where(sql`${t.type} = 'job.accepted'`),
  ],
);

export const jobWaves = pgTable(
  'job_waves',
  {
    jobId: text('job_id').notNull(),
    wave: integer('wave').notNull(),
    radiusKm: doublePrecision('radius_km').notNull(),
    openedAt: time('opened_at').notNull().defaultNow(),
    /** Null until the candidates are chosen; they never change afterwards. */
    chosenAt: time('chosen_at'),
    /** Null until their push task is enqueued. */
    dispatchedAt: time('dispatched_at'),
    /** Its pushes are recorded in `push_windows`, so the version before this leaves it alone. */
    windowed: boolean('windowed').notNull().default(false),
    /** From the version before this: first positions of chunks that are done. */
    chunksDone: integer('chunks_done').array().notNull().default(sql`'{}'::int[]`),
    /** Null until every window is done. */
    pushedAt: time('pushed_at'),
    /** Nearest first, up to the push cap. */
    candidateIds: text('candidate_ids').array().notNull().default(sql`'{}'::text[]`),
    candidateKm: doublePrecision('candidate_km').array().notNull().default(sql`'{}'::float8[]`),
    /** How many were in range, also beyond the cap. */
    candidateCount: integer('candidate_count').notNull().default(0),
    folded: folded(),
  },
  (t) => [
    primaryKey({ columns: [t.jobId, t.wave] }),
    index('job_waves_undispatched').on(t.openedAt).where(sql`${t.dispatchedAt} is null`),
    index('job_waves_unpushed')
      .on(t.dispatchedAt)
      .where(sql`${t.dispatchedAt} is not null and ${t.pushedAt} is null`),
    index('job_waves_candidates').using('gin', t.candidateIds),
    index('job_waves_unfolded').using('gin', t.candidateIds).where(sql`not ${t.folded}`),
    // By driver and day, so that his newest offers are found without reading older ones.
    index('job_waves_offered_on')
      .using('gin', sql`offered_on(${t.candidateIds}, ${t.openedAt})`)
      .with({ fastupdate: false })
      .where(sql`${t.folded}`),
  ],
);

export const jobRefusals = pgTable(
  'job_refusals',
  {
    jobId: text('job_id').notNull(),
    driverId: text('driver_id').notNull(),
    kind: text('kind').notNull(),
    reason: text('reason'),
    at: time('at').notNull().defaultNow(),
    folded: folded(),
  },
  (t) => [
    primaryKey({ columns: [t.jobId, t.driverId] }),
    index('job_refusals_unfolded').on(t.driverId).where(sql`not ${t.folded}`),
  ],
);

export const deviceTokens = pgTable(
  'device_tokens',
  {
    token: text('token').primaryKey(),
    userId: text('user_id').notNull(),
    /** Which app it belongs to: `driver` or `customer`. */
    app: text('app').notNull(),
    environment: text('environment').notNull(),
    registeredAt: time('registered_at').notNull().defaultNow(),
  },
  (t) => [index('device_tokens_user').on(t.userId, t.app)],
);

export const notifications = pgTable(
  'notifications',
  {
    id: text('id').primaryKey().default(sql`gen_random_uuid()::text`),
    userId: text('user_id').notNull(),
    app: text('app').notNull(),
    jobId: text('job_id').notNull(),
    version: integer('version').notNull(),
    type: text('type').notNull(),
    title: text('title').notNull(),
    body: text('body').notNull(),
    data: jsonb('data').notNull(),
    createdAt: createdAt(),
    readAt: time('read_at'),
    /** When its push was last enqueued; first set with its row. */
    enqueuedAt: time('enqueued_at').notNull().defaultNow(),
    /** When the push's outcome, or the lack of a device, was recorded. */
    doneAt: time('done_at'),
  },
  (t) => [
    uniqueIndex('notifications_once').on(t.jobId, t.version, t.userId, t.type),
    index('notifications_of_user').on(t.userId, t.app, t.createdAt, t.id),
    index('notifications_undone').on(t.enqueuedAt).where(sql`${t.doneAt} is null`),
  ],
);
