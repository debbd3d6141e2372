/**
 * Repeats a request until there is an answer. Only for requests that are safe to repeat: accept,
 * decline, availability and a post with its key. `try_again`, what a proxy says in the server's place, a
 * missing ack and a lost connection promise nothing, so the same request goes out again, a bounded number of times before a
 * deadline.
 */
import { jitterMs } from './backoff.ts';
import { isRetryable, retryAfterMs } from './protocol.ts';

/** The server answers within a second, if only `try_again`; five times that is silence. */
const ATTEMPT_MS = 5_000;
const TRIES_MAX = 20;
/** Clients that were told to wait spread over up to half as much again. */
const SPREAD = 0.5;
/** The shortest pause, even after a request that could not be sent. */
const WAIT_MIN_MS = 50;
/** The longest pause: a person is waiting for the answer. */
const WAIT_MAX_MS = 2_000;

/** Our own code for a request that was not answered in time. */
export const NO_ANSWER = 'no_answer';

export interface Reply {
  ok: boolean;
  /** Missing on success. */
  code: string | undefined;
  /** The HTTP body, or the ack's `data`. */
  data: unknown;
}

export interface FinalReply extends Reply {
  /** How often it was sent; above 1 the first answer was lost or said `try_again`. */
  tries: number;
}

/** One way to send the request; null when no answer came within `timeoutMs`. */
export type Attempt = (timeoutMs: number) => Promise<Reply | null>;

/**
 * The first answer that settles the request; `no_answer` when the deadline passes without one,
 * `overruled` when `stale()` says that a later request has replaced it.
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
