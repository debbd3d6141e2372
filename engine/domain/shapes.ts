/**
 * What travels on the wire, defined once: the types of the engine, the answers of HTTP, the frames of
 * the feed and the clients' types are all made of these schemas, and so are the documents.
 */
import { type Static, type TSchema, Type } from 'typebox';
import { JOB_STATUSES } from './job.ts';

export const time = Type.String({ format: 'date-time' });
/** A count of things. */
export const count = Type.Integer({ minimum: 0 });
/** No unknown fields. */
export const closed = { additionalProperties: false };
export const maybe = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

/** Who is coming, as the customer sees him. */
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
export type DriverCard = Static<typeof DriverCard>;

/** The contract's Job. */
export const Job = Type.Object(
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
export type Job = Static<typeof Job>;

/** A driver as he and operators see him. */
export const Driver = Type.Object(
  {
    id: Type.String(),
    name: maybe(Type.String()),
    truck_type: maybe(Type.String()),
    approval_status: Type.Enum(['pending', 'approved', 'suspended']),
    is_operator: Type.Boolean(),
    online: Type.Boolean(),
  },
  closed,
);
export type Driver = Static<typeof Driver>;
