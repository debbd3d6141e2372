/**
 * Asking until there is an answer: for requests that are safe to repeat, which by contract are
 * accept, decline, availability and a post with its key. `try_again`, a missing ack and a lost
 * connection promise nothing, so the same request goes out again, a bounded number of times before
 * a deadline.
 */
import { jitterMs } from './backoff.ts';
import { isRetryable, retryAfterMs } from './protocol.ts';

/** The server says `try_again` after half a second at the latest; ten times that is silence. */
const ATTEMPT_MS = 5_000;
const TRIES_MAX = 20;
/** Whoever was told to wait spreads over half as much again. */
const SPREAD = 0.5;
/** Also after a request that could not even be sent. */
const WAIT_MIN_MS = 50;
/** A person is waiting for the answer: no pause is longer than this. */
const WAIT_MAX_MS = 2_000;

/** The code of our own for a request that nobody answered in time. */
export const NO_ANSWER = 'no_answer';

export interface Reply {
  ok: boolean;
  /** Missing on success. */
  code: string | undefined;
  /** The HTTP body, or the ack's `data`. */
  data: unknown;
}

export interface FinalReply extends Reply {
  /** How often it was asked; above 1 the first answer was lost or said `try_again`. */
  tries: number;
}

/** One way to ask; null when no answer came within `timeoutMs`. */
export type Attempt = (timeoutMs: number) => Promise<Reply | null>;

/**
 * The first answer that settles the request; `no_answer` when the deadline passes without one,
 * `overruled` when `stale()` says that a later request has taken its place.
 */
export async function untilAnswered(
  attempt: Attempt,
  deadlineMs: number,
  stale: () => boolean = () => false,
): Promise<FinalReply> {
  const deadline = performance.now() + deadlineMs;
  for (let tries = 1; ; tries++) {
    const leftMs = Math.max(1, deadline - performance.now());
    const reply = await attempt(Math.min(ATTEMPT_MS, leftMs));
    if (reply && !isRetryable(reply.code)) return { ...reply, tries };
    const waitMs = pauseMs(reply, tries);
    if (tries === TRIES_MAX || performance.now() + waitMs >= deadline) {
      return { ok: false, code: reply?.code ?? NO_ANSWER, data: reply?.data, tries };
    }
    await new Promise((resolve) => setTimeout(resolve, waitMs));
    if (stale()) return { ok: false, code: 'overruled', data: undefined, tries };
  }
}

function pauseMs(reply: Reply | null, tries: number): number {
  const asked = retryAfterMs(reply?.data);
  const waitMs = asked === undefined ? jitterMs(tries - 1) : asked * (1 + SPREAD * Math.random());
  return Math.min(WAIT_MAX_MS, Math.max(WAIT_MIN_MS, waitMs));
}
