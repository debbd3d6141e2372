/** The tables of history: days of drivers and jobs, changes of drivers, where they were. */
import {
  bigserial,
  date,
  doublePrecision,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
} from './drizzle.ts';
import { time } from './schema-columns.ts';

/** How a driver answered his offers, summed over the jobs that were over on one day (UTC). */
export const driverDays = pgTable(
  'driver_days',
  {
    driverId: text('driver_id').notNull(),
    day: date('day').notNull(),
    offered: integer('offered').notNull().default(0),
    delivered: integer('delivered').notNull().default(0),
    accepted: integer('accepted').notNull().default(0),
    declined: integer('declined').notNull().default(0),
    ignored: integer('ignored').notNull().default(0),
    withdrawn: integer('withdrawn').notNull().default(0),
  },
  (t) => [primaryKey({ columns: [t.driverId, t.day] }), index('driver_days_day').on(t.day)],
);

/** How many jobs were over on one day (UTC), and how they ended. */
export const jobDays = pgTable(
  'job_days',
  {
    day: date('day').notNull(),
    status: text('status').notNull(),
    jobs: integer('jobs').notNull(),
  },
  (t) => [primaryKey({ columns: [t.day, t.status] })],
);

/**
 * Every change of what decides whether a driver is offered work, written with the change itself, so
 * that his state at any past moment is known.
 */
export const driverEvents = pgTable(
  'driver_events',
  {
    id: bigserial('id', { mode: 'number' }).primaryKey(),
    driverId: text('driver_id').notNull(),
    at: time('at').notNull().defaultNow(),
    /** `approval_status`, `is_operator`, `online`, `truck_type`; `heard`: again after a silence. */
    what: text('what').notNull(),
    was: text('was'),
    became: text('became'),
    actor: text('actor').notNull(),
    reason: text('reason'),
  },
  (t) => [
    index('driver_events_driver').on(t.driverId, t.what, t.at, t.id),
    index('driver_events_at').using('brin', t.at),
  ],
);

/** Where moving, available drivers were: a sample each `POSITION_HISTORY_S`, for 7 days. */
export const driverPositions = pgTable(
  'driver_positions',
  {
    driverId: text('driver_id').notNull(),
    at: time('at').notNull(),
    lat: doublePrecision('lat').notNull(),
    lng: doublePrecision('lng').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.driverId, t.at] }),
    // Rows are inserted in order of time: a block range index is enough to read by time.
    index('driver_positions_at').using('brin', t.at),
  ],
);
