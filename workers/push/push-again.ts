/** Pushes to be sent again later: when, and the error by which a task runs again for them. */
import { UnrecoverableError } from 'bullmq';
import type { Attempt } from '../../engine/domain/push.ts';
import { isRefusedForEver, reactionTo } from './apns/reactions.ts';
import type { Sent } from './sender.ts';

/** Apple throttles a single phone: it is left alone for 5, 10, 20, 40, then 60 s. */
const THROTTLED_FIRST_MS = 5000;
const THROTTLED_MAX_MS = 60_000;
/** After the first 500 to a notification; another connection may work. */
const SECOND_TRY_MS = 3000;
/** The pause that Apple asks for after a 500. */
const LATE_MS = 15 * 60_000;
/**
 * How long an attempt without a reason may be in flight; after that its worker has died. 10 s for a
 * stream, 10 s for the answer, 2 s to cancel, and some for the record.
 */
export const IN_FLIGHT_MS = 25_000;
/** Reasons named in the message. */
const REASONS_MAX = 5;

/** Until when a phone is left alone after these attempts (oldest first), epoch ms. */
export function restsUntil(attempts: readonly Attempt[]): number {
  const last = attempts.at(-1);
  if (last?.outcome !== 'rejected') return 0;
  if (last.reason === 'TooManyRequests') {
    const times = attempts.filter(({ reason }) => reason === 'TooManyRequests').length;
    return last.at + Math.min(THROTTLED_MAX_MS, THROTTLED_FIRST_MS * 2 ** (times - 1));
  }
  const late = attempts.filter(
    ({ status, reason }) => reactionTo(status ?? 0, reason ?? '').kind === 'retry_late',
  );
  if (last !== late.at(-1)) return 0;
  return last.at + (late.length === 1 ? SECOND_TRY_MS : LATE_MS);
}

/** Why a phone must be pushed again, and in how many ms at the earliest. */
export interface Waits {
  why: string;
  inMs: number;
}

/** For a phone that was just not reached. */
export function waitsFor({ reason, outcome, retryAfterMs = 0 }: Sent): Waits {
  const least = reason === 'TooManyRequests' ? THROTTLED_FIRST_MS : 0;
  return { why: reason ?? outcome, inMs: Math.max(least, retryAfterMs) };
}

export class PushAgain extends Error {
  override name = 'PushAgain';
  count = 0;
  /** The task waits for the phone that is due first; phones not due then wait on. */
  atLeastMs = Number.POSITIVE_INFINITY;
  readonly #what: string;
  readonly #reasons = new Map<string, number>();

  constructor(what: string) {
    super(what);
    this.#what = what;
  }

  add(waiting: readonly Waits[]): this {
    for (const { why, inMs } of waiting) {
      this.count++;
      this.#reasons.set(why, (this.#reasons.get(why) ?? 0) + 1);
      this.atLeastMs = Math.min(this.atLeastMs, inMs);
    }
    this.message = `${this.#what}: ${listed(this.#reasons)}`;
    return this;
  }
}

/** Will Apple never accept it, so that an operator must look into it? */
export const isNeverAccepted = ({ status, reason }: Sent): boolean =>
  status !== null && isRefusedForEver(status, reason ?? '');

/** The error on the dashboard for a task with pushes that Apple never accepts. */
export function neverAccepted(what: string, sent: readonly Sent[]): UnrecoverableError {
  const answers = new Map<string, number>();
  for (const { status, reason } of sent) {
    const answer = `${status} ${reason}`;
    answers.set(answer, (answers.get(answer) ?? 0) + 1);
  }
  return new UnrecoverableError(`${what}: ${listed(answers)}`);
}

function listed(counts: ReadonlyMap<string, number>): string {
  const told = [...counts].slice(0, REASONS_MAX);
  return told.map(([why, count]) => (count > 1 ? `${why} (${count})` : why)).join(', ');
}
