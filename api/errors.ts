/**
 * Every refusal that a client may get: its stable code, its status and its sentence, in one table.
 * HTTP and the feed answer with the same bodies, `{error, code, details?, retry_after_ms?}`.
 */

import { toJob } from '../engine/domain/job.ts';
import { TryAgainError } from '../engine/domain/try-again.ts';
import { type ClaimResult, isOutage } from '../engine/engine.ts';
import { UnauthorizedError } from './auth.ts';

export const ERRORS = {
  invalid_json: [400, 'The body is not valid JSON'],
  bad_request: [400, 'This is not a well-formed HTTP request'],
  unauthorized: [401, 'A valid token is needed'],
  forbidden: [403, 'Your role may not do this'],
  blocked: [403, 'An operator has blocked this user'],
  not_approved: [403, 'The driver is not approved'],
  not_found: [404, 'There is nothing at this address'],
  job_not_found: [404, 'There is no such job'],
  driver_not_found: [404, 'There is no such driver'],
  notification_not_found: [404, 'There is no such notification'],
  method_not_allowed: [405, 'This address does not take this method'],
  already_accepted: [409, 'Job already accepted by another driver'],
  job_cancelled: [409, 'The job was cancelled'],
  job_expired: [409, 'The job has expired'],
  job_completed: [409, 'The job is completed'],
  reserved: [409, 'The job is reserved for another driver'],
  too_many_open_jobs: [409, 'You have as many open jobs as a customer may have'],
  released: [409, 'You gave this job back before'],
  driver_busy: [409, 'You hold as many jobs as a driver may hold'],
  invalid_transition: [409, 'The job cannot go from its status to this one'],
  body_too_large: [413, 'The body is larger than 16 KiB'],
  unsupported_media_type: [415, 'The body must be application/json'],
  invalid_request: [422, 'A value breaks a rule'],
  invalid_location: [422, 'The position is outside of the map'],
  idempotency_mismatch: [422, 'This Idempotency-Key was used with another body before'],
  rate_limited: [429, 'Too many calls, please slow down'],
  internal: [500, 'Something went wrong on our side'],
  try_again: [503, 'This cannot be answered now, please try again'],
} as const satisfies Record<string, readonly [status: number, sentence: string]>;

export type ErrorCode = keyof typeof ERRORS;

/** A field that breaks a rule; `code` where the rule has a code of its own. */
export interface Broken {
  field: string;
  rule: string;
  code?: ErrorCode;
}

export interface ErrorBody {
  error: string;
  code: ErrorCode;
  details?: { field: string; rule: string }[];
  retry_after_ms?: number;
}

interface ErrorFacts {
  message?: string;
  details?: readonly Broken[] | undefined;
  retryAfterMs?: number | undefined;
}

/** A refusal with one of the codes above. */
export class ApiError extends Error {
  override name = 'ApiError';
  readonly code: ErrorCode;
  readonly status: number;
  readonly details: readonly Broken[] | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, { message, details, retryAfterMs }: ErrorFacts = {}) {
    super(message ?? ERRORS[code][1]);
    this.code = code;
    this.status = ERRORS[code][0];
    this.details = details;
    this.retryAfterMs = retryAfterMs;
  }
}

/** A store that is away is usually back, or replaced, after a second. */
const OUTAGE_RETRY_MS = 1000;

/** The refusal for fields that break rules; there must be at least one. */
export function invalid(details: readonly Broken[]): ApiError {
  const [first] = details;
  const code = first?.code ?? 'invalid_request';
  return new ApiError(code, { details, ...(first && { message: `${first.field} ${first.rule}` }) });
}

/** Any thrown value as a refusal. An unforeseen error becomes `internal` and tells nothing. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  if (error instanceof UnauthorizedError) {
    return new ApiError('unauthorized', { message: error.message });
  }
  if (error instanceof TryAgainError) {
    return new ApiError('try_again', { retryAfterMs: error.retryAfterMs });
  }
  if (isOutage(error)) return new ApiError('try_again', { retryAfterMs: OUTAGE_RETRY_MS });
  return new ApiError('internal');
}

/** The body that tells a client of an error. */
export function errorBody(error: unknown): ErrorBody {
  const refusal = toApiError(error);
  return bodyOf(refusal.code, refusal);
}

function bodyOf(code: ErrorCode, { message, details, retryAfterMs }: ErrorFacts): ErrorBody {
  return {
    error: message ?? ERRORS[code][1],
    code,
    ...(details && { details: details.map(({ field, rule }) => ({ field, rule })) }),
    ...(retryAfterMs !== undefined && { retry_after_ms: retryAfterMs }),
  };
}

/**
 * The answer to a tap, the same over HTTP and the feed. Most taps of a burst are refused: they get no
 * error object, whose stack would cost more than the decision.
 */
export function claimAnswer(result: ClaimResult): { status: number; body: object } {
  if (result.ok) return { status: 200, body: { success: true, job: toJob(result.job) } };
  const facts = 'retryAfterMs' in result ? { retryAfterMs: result.retryAfterMs } : {};
  return { status: ERRORS[result.code][0], body: bodyOf(result.code, facts) };
}
