/**
 * Work for people that keeps a process and Postgres busy for a second or two: one at a time, so that whatever a
 * single caller asks for, claims find free connections.
 */
import { TryAgainError } from '../context.ts';

/** With more before it a call would not be answered in time. */
const WAITING_MAX = 20;
const RETRY_AFTER_MS = 1000;

/** The same work, done in the order of the calls. Throws `TryAgainError` when too many wait. */
export function inTurn<Args extends unknown[], Result>(
  work: (...args: Args) => Promise<Result>,
): (...args: Args) => Promise<Result> {
  let last: Promise<unknown> = Promise.resolve();
  let asked = 0;
  return async (...args) => {
    if (asked > WAITING_MAX) throw new TryAgainError('too many wait for a turn', RETRY_AFTER_MS);
    asked++;
    const mine = last.then(() => work(...args)).finally(() => asked--);
    last = mine.catch(() => {});
    return mine;
  };
}
