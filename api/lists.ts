/**
 * Query parameters that all lists share: how many rows, from which cursor on, and filters with several
 * comma-separated values.
 */
import { type Static, type TSchema, Type } from 'typebox';
import { DRIVER_STATES, type DriverWord } from '../engine/domain/fleet.ts';
import { JOB_STATUSES, type JobStatus } from '../engine/domain/job.ts';
import type { InvalidCursor, PageQuery as Page } from '../engine/engine.ts';
import { invalid } from './errors.ts';
import { Lat, Lng, parseTime, time, UserId } from './schemas.ts';
import { composed, line } from './text.ts';
import { validate } from './validate.ts';

/** Contract section 4. */
const PAGE_MAX = 200;
const PAGE_DEFAULT = 50;
/** Longer than any real cursor. */
const CURSOR_MAX = 512;

const closed = { additionalProperties: false };

const PageFields = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: PAGE_MAX, default: PAGE_DEFAULT })),
  cursor: Type.Optional(
    Type.String({ maxLength: CURSOR_MAX, description: 'The `next_cursor` of the page before' }),
  ),
};

/** Several of these names, separated by commas. */
const namesOf = (names: readonly string[]) =>
  Type.Refine(
    Type.String({ description: `One or more, with commas between: ${names.join(', ')}` }),
    (text) => text.split(',').every((name) => names.includes(name)),
    () => `must be one or more of ${names.join(', ')}, with commas between`,
  );
const Statuses = namesOf(JOB_STATUSES);
const Text = (what: string) => line(200, what);

const Near = Type.Refine(
  Type.String({ description: 'LAT,LNG: nearest first', examples: ['37.77,-122.42'] }),
  (text) => toPosition(text) !== null,
  () => 'must be a latitude and a longitude with a comma between, e.g. 37.77,-122.42',
);

export const PageQuery = Type.Object(PageFields, closed);
export const JobsQuery = Type.Object({ ...PageFields, status: Type.Optional(Statuses) }, closed);
export const OpsJobsQuery = Type.Object(
  {
    ...PageFields,
    status: Type.Optional(Statuses),
    driver_id: Type.Optional(UserId),
    customer_id: Type.Optional(UserId),
    q: Type.Optional(Text('A whole id, or a part of the address in any case')),
    since: Type.Optional(time('Posted then or later')),
    until: Type.Optional(time('Posted earlier')),
    sort: Type.Optional(Type.Enum(['newest', 'oldest'], { default: 'newest' })),
  },
  closed,
);
export const OpsDriversQuery = Type.Object(
  {
    ...PageFields,
    state: Type.Optional(namesOf(DRIVER_STATES)),
    q: Type.Optional(Text('A whole id, or a part of the name in any case')),
    near: Type.Optional(Near),
  },
  closed,
);

/** The page that the caller asks for; by default of the usual length. */
export function pageOf({ limit = PAGE_DEFAULT, cursor }: Static<typeof PageQuery>): Page {
  return { limit, cursor };
}

export const statusesOf = (text: string | undefined) => splitNames<JobStatus>(text);
export const statesOf = (text: string | undefined) => splitNames<DriverWord>(text);

function splitNames<Name extends string>(text: string | undefined): Name[] | undefined {
  return text === undefined ? undefined : [...new Set(text.split(',') as Name[])];
}

/** What to look for, as texts are stored. */
export const textOf = (text: string | undefined) =>
  text === undefined ? undefined : composed(text);

/** Epoch ms of a time in the query. */
export const momentOf = (text: string | undefined) =>
  text === undefined ? undefined : parseTime(text);

/** Parses `LAT,LNG`; null for any other text. */
export function toPosition(text: string): { lat: number; lng: number } | null {
  const match = /^(-?\d{1,2}(?:\.\d{1,15})?),(-?\d{1,3}(?:\.\d{1,15})?)$/.exec(text);
  if (!match) return null;
  const [lat, lng] = [Number(match[1]), Number(match[2])];
  return isIn(Lat, lat) && isIn(Lng, lng) ? { lat, lng } : null;
}

const isIn = (schema: TSchema, value: unknown) => validate(schema, value).length === 0;

/** The page; refuses a cursor that is broken, or was made for another list or another caller. */
export function shown<Result>(page: ({ ok: true } & Result) | InvalidCursor): Result {
  if (!page.ok)
    throw invalid([{ field: 'cursor', rule: 'must be one that you got with this list' }]);
  return page;
}
