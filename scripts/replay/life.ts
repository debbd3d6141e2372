/**
 * What a job's record says: its state, its winners, the moments that are measured. Pure; counts,
 * times, charts and invariants all read a life through these, so there is one definition of each.
 */
import { isRetryable } from '../client/protocol.ts';
import { NO_ANSWER } from '../client/retry.ts';
import type { DriverWay } from './driver-way.ts';
import type { JobLife, Ledger, Tap } from './ledger.ts';

/** The longest wait for an answer; what never came counts as having taken this long. */
export const DEADLINE_MS = 30_000;
/** The server may not have known about a driver who came or went this close to the job. */
const KNOWN_AFTER_MS = 500;

/** Each job is in exactly one of these, so that they add up to all. */
export type JobState =
  /** Due, but the run ended before it left the replayer or was answered. */
  | 'pending'
  /** The deployment refused for good. */
  | 'refused'
  /** No answer within the deadline, and nobody saw the job. */
  | 'unanswered'
  /** Posted, and on nobody's screen. */
  | 'reached_nobody'
  /** Posted and seen, not taken. */
  | 'open'
  | 'taken';

export function stateOf(life: JobLife): JobState {
  if (life.taps.some((tap) => tap.ok)) return 'taken';
  if (life.reached.size > 0) return 'open';
  if (life.id !== null) return 'reached_nobody';
  if (life.postCode === null) return 'pending';
  return isUndecided(life.postCode) ? 'unanswered' : 'refused';
}

/** The drivers who were told that the job is theirs. */
export function winnersOf(life: JobLife): number[] {
  return [...new Set(life.taps.filter((tap) => tap.ok).map((tap) => tap.driver))];
}

/** When the first winner was told. */
export function claimedMs(life: JobLife): number | null {
  const won = life.taps.flatMap((tap) => (tap.ok ? (tap.answeredMs ?? []) : []));
  return won.length > 0 ? Math.min(...won) : null;
}

export type TapState = 'pending' | 'won' | 'lost' | 'unanswered';

export function tapState(tap: Tap): TapState {
  if (tap.answeredMs === null) return 'pending';
  if (tap.ok) return 'won';
  return isRefusal(tap.code) ? 'lost' : 'unanswered';
}

/** Answers that finally tell a driver that the job is not his (contract section 4). */
const REFUSALS: readonly string[] = [
  'already_accepted',
  'job_completed',
  'job_cancelled',
  'job_expired',
  'reserved',
  'released',
  'driver_busy',
];

export function isRefusal(code: string | null): boolean {
  return code !== null && REFUSALS.includes(code);
}

/** No answer, or one that promises nothing. */
export function isUndecided(code: string | null): boolean {
  return code !== null && (code === NO_ANSWER || isRetryable(code));
}

/** The widest radius in which an offer was seen: within it a driver should have been reached. */
export function seenRadiusKm(ledger: Ledger): number {
  let km = 0;
  for (const life of ledger.jobs) {
    for (const { driver, atMs } of life.offers) {
      km = Math.max(km, ledger.drivers[driver]?.kmFrom(life, atMs) ?? 0);
    }
  }
  return km;
}

/**
 * When the offers of the post arrived on good phones of drivers who were within the radius when the
 * job was due, and free and connected from then on. A driver who came later, or was away in between,
 * does not count as the server's delay.
 */
export function timedOffers(ledger: Ledger, life: JobLife, radiusKm: number): number[] {
  return life.offers.flatMap(({ driver, atMs }) => {
    const way = ledger.drivers[driver];
    if (way?.kind !== 'good' || !way.wasThere(life.dueMs, atMs)) return [];
    const km = way.kmFrom(life, life.dueMs);
    return km !== null && km <= radiusKm ? [atMs] : [];
  });
}

/** A driver on a good phone, long known to be near, should have seen the job and has not. */
export function shouldHaveReached(ledger: Ledger, life: JobLife, radiusKm: number): boolean {
  const near = (way: DriverWay, atMs: number): boolean => {
    const km = way.kmFrom(life, atMs);
    return km !== null && km < radiusKm;
  };
  return ledger.drivers.some(
    (way) =>
      way.kind === 'good' &&
      way.wasThere(life.dueMs - KNOWN_AFTER_MS, life.dueMs + KNOWN_AFTER_MS) &&
      near(way, life.dueMs) &&
      near(way, life.dueMs - KNOWN_AFTER_MS),
  );
}
