/**
 * The commands of clients: location, availability, accept, decline, view, auth, heartbeat. Each frame is
 * checked like its HTTP twin, changes nothing when it breaks a rule, and is answered when it carried a
 * `ref`.
 */
import type { Static } from 'typebox';
import type { Engine } from '../../engine/engine.ts';
import { type Auth, UnauthorizedError } from '../auth.ts';
import { ApiError, type Broken, claimAnswer, errorBody, invalid } from '../errors.ts';
import { type AvailabilityBody, type LocationBody, toFix } from '../schemas.ts';
import { validate } from '../validate.ts';
import { driverView } from '../views.ts';
import {
  type AcceptBody,
  type AuthBody,
  CLIENT_FRAMES,
  type ClientEvent,
  type DeclineFrame,
  type ViewBody,
} from './client-frames.ts';
import type { Connection } from './connection.ts';
import type { CustomerSession } from './customer-session.ts';
import type { DriverSession } from './driver-session.ts';
import type { OpsSession } from './ops/ops-session.ts';

export type Session = DriverSession | CustomerSession | OpsSession;

/** Contract section 5. */
const REF_MAX = 64;
/** In characters, as the schemas count. */
const REF = new RegExp(`^.{1,${REF_MAX}}$`, 'su');
/** Frames that are not for everybody, and the roles that may send them. */
const ONLY: Partial<Record<ClientEvent, Session['role']>> = {
  location: 'driver',
  availability: 'driver',
  accept: 'driver',
  decline: 'driver',
  view: 'operator',
};

interface Frame {
  event: ClientEvent;
  data: unknown;
  ref: string | undefined;
}

interface Answer {
  ok: boolean;
  code?: string;
  data?: object;
}

export interface Commands {
  /** Handles one text frame; never rejects. */
  handle(session: Session, text: string): Promise<void>;
}

export function createCommands(engine: Engine, auth: Auth): Commands {
  const turns = new WeakMap<Session, Promise<void>>();
  return {
    async handle(session, text) {
      const frame = readFrame(session, text);
      if (!frame) return;
      const answer = await inTurn(session, frame).catch((error: unknown) => {
        const body = errorBody(error);
        const what = { err: error, event: frame.event };
        if (body.code === 'internal') engine.log.error(what, 'a frame failed');
        return failed(body);
      });
      const { connection } = session;
      if (frame.ref !== undefined) connection.ack(frame.ref, answer);
      else if (!answer.ok) sayError(session, answer);
    },
  };

  /** Location and availability take effect in the order in which he sent them. */
  function inTurn(session: Session, frame: Frame): Promise<Answer> {
    if (frame.event !== 'location' && frame.event !== 'availability') return run(session, frame);
    const before = turns.get(session) ?? Promise.resolve();
    const answer = before.then(() => run(session, frame));
    turns.set(
      session,
      answer.then(
        () => {},
        () => {},
      ),
    );
    return answer;
  }

  async function run(session: Session, { event, data }: Frame): Promise<Answer> {
    if (event === 'heartbeat') return { ok: true };
    if (event === 'auth') return refresh(auth, session, (data as Static<typeof AuthBody>).token);
    if (session.role === 'operator') return look(session, data as Static<typeof ViewBody>);
    if (session.role !== 'driver') return { ok: false };
    const driverId = session.connection.identity.sub;
    if (event === 'location') return locate(engine, session, data as Static<typeof LocationBody>);
    if (event === 'availability') {
      const { online } = data as Static<typeof AvailabilityBody>;
      const result = await engine.drivers.setAvailability(driverId, online);
      if (!result.ok) throw new ApiError(result.code);
      return { ok: true, data: driverView(result.driver) };
    }
    if (event === 'accept') {
      const { job_id } = data as Static<typeof AcceptBody>;
      const { status, body } = claimAnswer(await engine.jobs.claim(job_id, driverId));
      return status === 200 ? { ok: true, data: body } : failed(body);
    }
    const { job_id, reason } = data as Static<typeof DeclineFrame>;
    const declined = await engine.jobs.decline(job_id, driverId, reason || null);
    if (!declined.ok) throw new ApiError(declined.code);
    return { ok: true };
  }
}

async function locate(
  engine: Engine,
  session: DriverSession,
  body: Static<typeof LocationBody>,
): Promise<Answer> {
  const driver = session.driver ?? (await engine.drivers.know(session.connection.identity.sub));
  if (!driver) throw new ApiError('driver_not_found');
  // His positions go to nobody.
  if (driver.suspended) return { ok: true };
  await engine.drivers.track(driver, toFix(body, engine.now()));
  return { ok: true };
}

/** A fresh token of the same user for the same connection. */
async function refresh(auth: Auth, session: Session, token: string): Promise<Answer> {
  const { connection } = session;
  const identity = await auth.verify(token);
  if (identity.sub !== connection.identity.sub || identity.role !== connection.identity.role) {
    throw new UnauthorizedError('The token is of another user');
  }
  connection.renew(identity);
  return { ok: true };
}

/** From now on positions within this box are sent. */
function look(session: OpsSession, { bbox }: Static<typeof ViewBody>): Answer {
  const [, south, , north] = bbox;
  if (south > north)
    throw invalid([{ field: 'bbox', rule: 'must have its south below its north' }]);
  session.setView(bbox);
  return { ok: true };
}

/** Parses and checks a frame; null when it was invalid and has been answered. */
function readFrame(session: Session, text: string): Frame | null {
  const { connection } = session;
  const bad = (error: ApiError, ref?: string) => {
    const body = errorBody(error);
    connection.badFrame(ref, body.code, body.error, body);
    return null;
  };
  const broken = (field: string, rule: string, ref?: string) =>
    bad(invalid([{ field, rule }]), ref);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return bad(new ApiError('invalid_json', { message: 'The frame is not JSON' }));
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return broken('frame', 'must be an object with event and data');
  }
  const { event, data: given, ref: named, ...rest } = value as Record<string, unknown>;
  // Null says as much as leaving it out.
  const data = given ?? {};
  const ref = named ?? undefined;
  if (ref !== undefined && !isRef(ref)) {
    return broken('ref', `must be a string of 1 to ${REF_MAX} characters`);
  }
  const [unknown] = Object.keys(rest);
  if (unknown !== undefined) return broken(unknown, 'is not a known field', ref);
  if (typeof event !== 'string' || !Object.hasOwn(CLIENT_FRAMES, event)) {
    return broken('event', `must be one of ${Object.keys(CLIENT_FRAMES).join(', ')}`, ref);
  }
  const known = event as ClientEvent;
  if ((ONLY[known] ?? session.role) !== session.role) return forbidden(connection, ref);
  const rules: Broken[] = validate(CLIENT_FRAMES[known], data);
  if (rules.length > 0) return bad(invalid(rules), ref);
  connection.goodFrame();
  return { event: known, data, ref };
}

/** A frame for other roles is well formed: it is refused, but does not count as invalid. */
function forbidden(connection: Connection, ref: string | undefined): null {
  const body = errorBody(new ApiError('forbidden'));
  if (ref !== undefined) connection.ack(ref, failed(body));
  else connection.error(body.code, body.error);
  return null;
}

function isRef(ref: unknown): ref is string {
  return typeof ref === 'string' && REF.test(ref);
}

function failed(body: object): Answer {
  return { ok: false, code: (body as { code: string }).code, data: body };
}

function sayError(session: Session, answer: Answer): void {
  const body = answer.data as { error: string; retry_after_ms?: number } | undefined;
  session.connection.error(answer.code ?? 'internal', body?.error ?? '', body?.retry_after_ms);
}
