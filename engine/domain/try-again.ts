/** The refusal that promises nothing: the caller may try again. */

/** Unless somebody knows better, a caller is asked to wait so long. */
const RETRY_AFTER_MS = 200;

/**
 * What the caller wanted may be done already (a job that is given back without Redis); asked again, it is
 * not done twice.
 */
export class TryAgainError extends Error {
  override name = 'TryAgainError';
  readonly retryAfterMs: number;

  constructor(reason: string, retryAfterMs = RETRY_AFTER_MS) {
    super(reason);
    this.retryAfterMs = retryAfterMs;
  }
}
