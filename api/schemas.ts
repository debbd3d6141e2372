/**
 * What clients may send, as TypeBox schemas: the one definition of every rule for a value, used to
 * check HTTP calls and feed frames alike and to document both. Nothing is coerced or dropped: a
 * value that breaks a rule, or an unknown field, is refused and named. Texts that are compared or searched
 * are stored in one spelling of those that look the same (`text.ts`).
 */
import { type Static, type TSchema, Type } from 'typebox';
import { LATITUDE_MAX } from '../engine/domain/distance.ts';
import { PROGRESS } from '../engine/domain/job.ts';
import type { Fix } from '../engine/engine.ts';
import { USER_ID } from './auth.ts';
import type { Broken } from './errors.ts';
import { line, optionalLine, optionalLines } from './text.ts';

export { validate } from './validate.ts';

const LNG_MAX = 180;
/** Contract section 4. */
const PRICE_MAX = 1_000_000;
const EXPIRES_MAX_MS = 30 * 86_400_000;

const closed = { additionalProperties: false };
/** A field that may be left out. Many clients send null instead, which says as much. */
export const optional = <T extends TSchema>(schema: T) =>
  Type.Optional(Type.Union([schema, Type.Null()]));
const isGiven = (value: unknown) => value !== undefined && value !== null;
/** No unknown fields, and an example for the documents. */
const like = (example: object) => ({ ...closed, examples: [example] });

export const time = (description: string) =>
  Type.Refine(
    Type.String({ format: 'date-time', description }),
    (value) => Number.isFinite(parseTime(value)),
    () => 'must be an RFC 3339 time',
  );

/**
 * Epoch ms of an RFC 3339 time. A leap second (allowed at 23:59:60 UTC) counts as the second after it:
 * neither JavaScript nor Postgres has one.
 */
export function parseTime(text: string): number {
  const noLeap = text.replace(LEAP_SECOND, '$1:59');
  return Date.parse(noLeap) + (noLeap === text ? 0 : 1000);
}

/** The format allows it only at 23:59 UTC. */
const LEAP_SECOND = /(:\d\d):60(?=[.Zz+-])/;

export const UserId = Type.String({
  pattern: USER_ID.source,
  description: 'A user id: 1 to 64 of A-Z a-z 0-9 _ -, and not `me`',
});
/** Any text: an invalid id is answered with `job_not_found`. */
const AnyId = Type.String({ description: 'Opaque' });
export const Lat = Type.Number({ minimum: -LATITUDE_MAX, maximum: LATITUDE_MAX });
export const Lng = Type.Number({ minimum: -LNG_MAX, maximum: LNG_MAX });
/** For drivers' positions, values off the map have a code of their own. */
const outside = { 'x-code': 'invalid_location' };
const TruckType = line(40, 'The kind of truck');
const Reason = optionalLine(200, 'Why');

/** A number that some phones send as null, or out of range, when they do not know it. */
const decoration = (description: string) =>
  optional(Type.Number({ description: `${description}. Null or negative: not known` }));

/** Where a driver is. */
export const LocationBody = Type.Object(
  {
    lat: Type.Number({ minimum: -LATITUDE_MAX, maximum: LATITUDE_MAX, ...outside }),
    lng: Type.Number({ minimum: -LNG_MAX, maximum: LNG_MAX, ...outside }),
    heading: decoration('Degrees, 0 to 360'),
    speed: decoration('Metres per second'),
    accuracy_m: decoration('Metres'),
    recorded_at: optional(
      time('When the phone took it; orders its fixes. Capped at the server time; by default now'),
    ),
  },
  like({ lat: 37.7749, lng: -122.4194, heading: 90, recorded_at: '2026-01-31T08:30:00Z' }),
);
export const AvailabilityBody = Type.Object({ online: Type.Boolean() }, like({ online: true }));
export const DeclineBody = Type.Object({ reason: optional(Reason) }, like({ reason: 'Flat tyre' }));
/** The empty body of calls that need none. */
export const NoBody = Type.Object({}, closed);
export const ReleaseBody = DeclineBody;
export const CancelBody = DeclineBody;
export const ProgressBody = Type.Object(
  { status: Type.Enum([...PROGRESS]) },
  like({ status: 'en_route' }),
);

const ProfileFields = {
  name: optional(line(80, 'Needed for a new driver')),
  /** Null removes it. */
  truck_type: optional(TruckType),
};
export const ProfileBody = Type.Object(ProfileFields, like({ name: 'Ann', truck_type: 'flatbed' }));
export const DriverBody = Type.Object(
  {
    ...ProfileFields,
    approval_status: optional(Type.Enum(['pending', 'approved', 'suspended'])),
    is_operator: optional(Type.Boolean()),
    release_jobs: optional(
      Type.Boolean({ description: 'With `suspended`: every job that he holds is given back' }),
    ),
  },
  like({ name: 'Ann', truck_type: 'flatbed', approval_status: 'approved' }),
);

export const PostJobBody = Type.Object(
  {
    customer_id: optional(
      Type.String({ ...UserId, description: 'Needed from operators and services, nobody else' }),
    ),
    address: line(200, 'Where'),
    lat: optional(Lat),
    lng: optional(Lng),
    total_price: Type.Refine(
      Type.Number({ minimum: 0, maximum: PRICE_MAX, description: 'At most two decimals' }),
      (value) => Math.round(value * 100) / 100 === value,
      () => 'must have at most two decimals',
    ),
    truck_type: optional(TruckType),
    notes: optional(optionalLines(2000, 'For the driver; line breaks are allowed')),
    expires_at: optional(time('Between now and 30 days ahead')),
  },
  like({ address: '1 Market St', lat: 37.7749, lng: -122.4194, total_price: 149.5 }),
);
/** Other headers are ignored. */
export const IdempotencyHeaders = Type.Object({
  'idempotency-key': Type.Optional(
    Type.String({ pattern: '^[\\x20-\\x7e]{1,255}$', description: 'Yours; kept for a day' }),
  ),
});
export const BlockBody = Type.Object({ blocked: Type.Boolean() }, like({ blocked: true }));
export const AssignBody = Type.Object({ driver_id: UserId }, like({ driver_id: 'd1' }));

export const TokenBody = Type.Object(
  {
    token: Type.String({ pattern: '^[0-9A-Fa-f]{16,200}$', description: 'Hex, as APNs gave it' }),
    environment: optional(Type.Enum(['sandbox', 'production'])),
  },
  like({ token: '1f'.repeat(32) }),
);
export const TokenParams = Type.Object({ token: TokenBody.properties.token }, closed);
export const UserParams = Type.Object({ id: UserId }, closed);
export const IdParams = Type.Object({ id: AnyId }, closed);

export const ExplainQuery = Type.Object(
  {
    driver_id: Type.Optional(Type.String({ ...UserId, description: 'Only about this driver' })),
    at: Type.Optional(
      Type.Enum(['wave', 'now'], {
        default: 'wave',
        description: 'As it was when the latest wave opened, however long ago, or as it is now',
      }),
    ),
  },
  closed,
);
/** The console's own query parameters may stand beside it. */
export const LoginQuery = Type.Object({
  token: Type.Optional(Type.String({ description: "An operator's token" })),
});

/** The fix of a checked location; the time of a phone whose clock is ahead is capped at now. */
export function toFix(body: Static<typeof LocationBody>, now: number): Fix {
  const recordedAt = body.recorded_at ? parseTime(body.recorded_at) : now;
  return {
    lat: body.lat,
    lng: body.lng,
    at: Math.min(recordedAt, now),
    heading: isHeading(body.heading) ? body.heading : null,
  };
}

function isHeading(heading: number | null | undefined): heading is number {
  return typeof heading === 'number' && heading >= 0 && heading <= 360;
}

/** The rules of a new job that concern more than one field. */
export function postRules(body: Static<typeof PostJobBody>, needsCustomer: boolean): Broken[] {
  const broken: Broken[] = [];
  if (needsCustomer && !isGiven(body.customer_id)) {
    broken.push({ field: 'customer_id', rule: 'is required' });
  }
  if (!needsCustomer && isGiven(body.customer_id)) {
    broken.push({ field: 'customer_id', rule: 'is for operators and services only' });
  }
  if (isGiven(body.lat) !== isGiven(body.lng)) {
    broken.push({
      field: isGiven(body.lat) ? 'lng' : 'lat',
      rule: 'must come with the other',
    });
  }
  return broken;
}

/** Between now and 30 days ahead. */
export function expiryRules(body: Static<typeof PostJobBody>, now: number): Broken[] {
  if (!body.expires_at) return [];
  const ahead = parseTime(body.expires_at) - now;
  if (ahead > 0 && ahead <= EXPIRES_MAX_MS) return [];
  return [{ field: 'expires_at', rule: 'must be between now and 30 days ahead' }];
}
