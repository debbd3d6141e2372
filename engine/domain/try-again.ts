/** The refusal that promises nothing: the caller may try again. */

/** How long a caller is asked to wait, unless something better is known. */
const RETRY_AFTER_MS = 200;

/**
 * What the caller wanted may be done already (a job given back while Redis is away); asking again does
 * not do it twice.
 */
export class TryAgainError extends Error {
  override name = 'TryAgainError';
  readonly retryAfterMs: number;

  constructor(reason: string, retryAfterMs = RETRY_AFTER_MS) {
    super(reason);
    this.retryAfterMs = retryAfterMs;
  }
}
