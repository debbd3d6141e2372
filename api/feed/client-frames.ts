/** The frames that clients may send, as TypeBox schemas: the data of each frame by event. */
import { type Static, type TSchema, Type } from 'typebox';
import { AvailabilityBody, DeclineBody, LocationBody } from '../schemas.ts';

/** Contract section 5: larger frames close with 1009. */
const FRAME_MAX = 4 * 1024;
/** Tokens of some identity providers are larger than any other frame. */
export const AUTH_FRAME_MAX = 16 * 1024;

/** Any text, as in HTTP: an invalid id is answered with `job_not_found`. */
const JobId = Type.String({ description: 'Opaque' });
export const AcceptBody = Type.Object({ job_id: JobId }, { additionalProperties: false });
export const DeclineFrame = Type.Object(
  { job_id: JobId, ...DeclineBody.properties },
  { additionalProperties: false },
);
export const AuthBody = Type.Object(
  { token: Type.String({ minLength: 1, maxLength: AUTH_FRAME_MAX }) },
  { additionalProperties: false },
);
const longitude = Type.Number({ minimum: -180, maximum: 180 });
const latitude = Type.Number({ minimum: -90, maximum: 90 });
export const ViewBody = Type.Object(
  {
    bbox: Type.Tuple([longitude, latitude, longitude, latitude], {
      description: 'West, south, east, north; west is greater across the antimeridian',
    }),
  },
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
  view: ViewBody,
} satisfies Record<string, TSchema>;
export type ClientEvent = keyof typeof CLIENT_FRAMES;
/** The data of each frame, by its event. */
export type ClientEvents = { [E in ClientEvent]: Static<(typeof CLIENT_FRAMES)[E]> };

/** Is this frame larger than one of its kind may be? */
export function isTooBig(frame: Buffer): boolean {
  if (frame.length <= FRAME_MAX) return false;
  try {
    const { event } = JSON.parse(frame.toString());
    return event !== ('auth' satisfies ClientEvent);
  } catch {
    return true;
  }
}
