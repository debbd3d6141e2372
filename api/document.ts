/**
 * Describes a route for the generated OpenAPI pages: its purpose, its answers and the codes of its
 * refusals. The errors that every route of its kind has are added here, once.
 */
import type { FastifySchema } from 'fastify';
import { type TSchema, Type } from 'typebox';
import { ERRORS, type ErrorCode } from './errors.ts';

declare module 'fastify' {
  interface FastifySchema {
    /** A call without a body is a call with an empty object. */
    'x-optional-body'?: boolean;
  }
}

/** An answer that is not JSON. */
export const PLAIN_TEXT = { content: { 'text/plain': { schema: Type.String() } } };

type MaybeSchema = TSchema | undefined;

export interface RouteText<
  P extends MaybeSchema = MaybeSchema,
  Q extends MaybeSchema = MaybeSchema,
  B extends MaybeSchema = MaybeSchema,
> {
  summary: string;
  description?: string;
  tag: 'drivers' | 'jobs' | 'push' | 'operators' | 'health';
  params?: P;
  query?: Q;
  body?: B;
  optionalBody?: boolean;
  headers?: TSchema;
  /** By status; null where the answer has no body. */
  answers: Record<number, TSchema | typeof PLAIN_TEXT | null>;
  /** Its own codes, besides those of every route. */
  errors?: readonly ErrorCode[];
  /** Open to anyone, without a token. */
  open?: boolean;
}

/** A route's schema, from which the types of `request.params`, `query` and `body` are inferred. */
type Described<P, Q, B> = FastifySchema & { params: P; querystring: Q; body: B };

const WITH_TOKEN: readonly ErrorCode[] = ['unauthorized', 'forbidden', 'blocked', 'rate_limited'];
const WITH_BODY: readonly ErrorCode[] = [
  'invalid_json',
  'body_too_large',
  'unsupported_media_type',
];
const ALWAYS: readonly ErrorCode[] = ['internal', 'try_again'];

/** May a part of the path break a rule? An id that is any text cannot. */
function hasRules(params: MaybeSchema): boolean {
  const { properties = {} } = (params ?? {}) as { properties?: Record<string, object> };
  return Object.values(properties).some((part) => 'pattern' in part);
}

export function describeRoute<
  P extends MaybeSchema = undefined,
  Q extends MaybeSchema = undefined,
  B extends MaybeSchema = undefined,
>(text: RouteText<P, Q, B>): Described<P, Q, B> {
  const codes = new Set<ErrorCode>([
    ...(text.open ? [] : WITH_TOKEN),
    ...(text.body ? WITH_BODY : []),
    ...(text.body || text.query || hasRules(text.params) ? (['invalid_request'] as const) : []),
    ...(text.errors ?? []),
    ...ALWAYS,
  ]);
  const schema: FastifySchema = {
    summary: text.summary,
    ...(text.description !== undefined && { description: text.description }),
    tags: [text.tag],
    security: text.open ? [] : [{ bearer: [] }],
    ...(text.params && { params: text.params }),
    ...(text.query && { querystring: text.query }),
    ...(text.body && { body: text.body }),
    ...(text.optionalBody && { 'x-optional-body': true }),
    ...(text.headers && { headers: text.headers }),
    response: { ...answers(text.answers), ...refusals([...codes]) },
  };
  // The generator and the validator treat a missing part as absent; so do the types.
  return schema as Described<P, Q, B>;
}

function answers(byStatus: RouteText['answers']): Record<string, object> {
  return Object.fromEntries(
    Object.entries(byStatus).map(([status, schema]) => [
      status,
      schema ? { ...schema, description: 'Done' } : { type: 'null', description: 'Done' },
    ]),
  );
}

/** One entry a status, with the codes it may carry and an example of each. */
function refusals(codes: readonly ErrorCode[]): Record<string, object> {
  const byStatus = Map.groupBy(codes, (code) => ERRORS[code][0]);
  return Object.fromEntries(
    [...byStatus].map(([status, group]) => [
      String(status),
      {
        description: group.map((code) => `\`${code}\``).join(', '),
        content: {
          'application/json': { schema: errorSchema(group), examples: examplesOf(group) },
        },
      },
    ]),
  );
}

function errorSchema(codes: readonly ErrorCode[]): TSchema {
  const detail = Type.Object({ field: Type.String(), rule: Type.String() });
  return Type.Object({
    error: Type.String(),
    code: Type.Enum([...codes]),
    ...(codes.some((code) => ERRORS[code][0] === 422) && {
      details: Type.Optional(Type.Array(detail)),
    }),
    ...(codes.some((code) => ERRORS[code][0] === 429 || ERRORS[code][0] === 503) && {
      retry_after_ms: Type.Optional(Type.Integer()),
    }),
  });
}

function examplesOf(codes: readonly ErrorCode[]): Record<string, { value: object }> {
  return Object.fromEntries(
    codes.map((code) => [code, { value: { error: ERRORS[code][1], code, ...extra(code) } }]),
  );
}

function extra(code: ErrorCode): object {
  if (code === 'invalid_request') return { details: [{ field: 'name', rule: 'is required' }] };
  if (code === 'rate_limited' || code === 'try_again') return { retry_after_ms: 200 };
  return {};
}
