/** What clients may say on the feed, as TypeBox schemas: the data of each frame by event. */
import { type TSchema, Type } from 'typebox';
import { AvailabilityBody, DeclineBody, LocationBody } from '../schemas.ts';

/** Any text, as in HTTP: an id that is none is answered with `job_not_found`. */
const JobId = Type.String({ description: 'Opaque' });
export const AcceptBody = Type.Object({ job_id: JobId }, { additionalProperties: false });
export const DeclineFrame = Type.Object(
  { job_id: JobId, ...DeclineBody.properties },
  { additionalProperties: false },
);
export const AuthBody = Type.Object(
  { token: Type.String({ minLength: 1, maxLength: 4096 }) },
  { additionalProperties: false },
);
const HeartbeatBody = Type.Object({}, { additionalProperties: false });

/** The frames' data by event; `asyncapi.json` is made of the same schemas. */
export const CLIENT_FRAMES = {
  location: LocationBody,
  availability: AvailabilityBody,
  accept: AcceptBody,
  decline: DeclineFrame,
  auth: AuthBody,
  heartbeat: HeartbeatBody,
} satisfies Record<string, TSchema>;
