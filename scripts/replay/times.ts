/**
 * The times of a run, computed from the ledger. Each counts from its moment in the trace, so waits in
 * the replayer count too; what was never answered counts with its deadline. Service time, from when the
 * request really left, is kept beside it.
 */
import type { JobLife, Ledger, Tap } from './ledger.ts';
import {
  claimedMs,
  DEADLINE_MS,
  shouldHaveReached,
  stateOf,
  tapState,
  timedOffers,
} from './life.ts';
import { type Spread, spreadOf } from './stats.ts';

/** The name of each time for people, in the order of the report. */
export const TIME_TITLES = {
  post_to_answer: 'post → answer',
  post_to_first_socket: 'post → first socket',
  post_to_last_socket: 'post → last socket',
  tap_to_answer_won: 'tap → answer, winners',
  tap_to_answer_lost: 'tap → answer, losers',
  claim_to_last_cleared: 'claim → last other socket cleared',
  claim_to_customer_told: "claim → customer's socket told",
  claim_to_last_push: 'claim → last push to a driver sent',
} as const;

export type TimeName = keyof typeof TIME_TITLES;
export const TIME_NAMES = Object.keys(TIME_TITLES) as TimeName[];

export interface Sample {
  /** Number of its job. */
  job: number;
  /** When its job was due. */
  dueMs: number;
  ms: number;
  /** From when it left the replayer; null where there is no separate value. */
  serviceMs: number | null;
  /** It never came, and `ms` is its deadline. */
  never: boolean;
}

export type Samples = Record<TimeName, Sample[]>;

export interface Scope {
  /** The widest radius in which offers were seen. */
  radiusKm: number;
  /** Jobs that were due before are left out. */
  fromMs: number;
  /** The run was stopped: what has not come may still have been on its way. */
  stopped: boolean;
}

export function samplesOf(ledger: Ledger, { radiusKm, fromMs, stopped }: Scope): Samples {
  const all = Object.fromEntries(TIME_NAMES.map((name) => [name, []])) as unknown as Samples;
  for (const life of ledger.jobs) {
    if (life.dueMs < fromMs) continue;
    const { number: job, dueMs } = life;
    const add: Add = (name, ms, serviceMs = null) =>
      all[name].push({ job, dueMs, ms: Math.max(0, ms), serviceMs, never: false });
    const never: Never = (name) => {
      if (!stopped) all[name].push({ job, dueMs, ms: DEADLINE_MS, serviceMs: null, never: true });
    };
    ofPost(ledger, life, radiusKm, add, never);
    for (const tap of life.taps) ofTap(ledger, tap, add, never);
    ofClaim(ledger, life, add, never);
  }
  return all;
}

export function spreadsOf(samples: Samples): Record<TimeName, Spread> {
  return eachTime((name) => spreadOf(samples[name].map(({ ms }) => ms)));
}

/** A value for each name, in the order of the report. */
export function eachTime<T>(value: (name: TimeName) => T): Record<TimeName, T> {
  return Object.fromEntries(TIME_NAMES.map((name) => [name, value(name)])) as Record<TimeName, T>;
}

type Add = (name: TimeName, ms: number, serviceMs?: number | null) => void;
type Never = (name: TimeName) => void;

function ofPost(ledger: Ledger, life: JobLife, radiusKm: number, add: Add, never: Never): void {
  const { dueMs, sentMs, answeredMs } = life;
  const since = (atMs: number): number | null => (sentMs === null ? null : atMs - sentMs);
  const state = stateOf(life);
  if (life.postCode === null && answeredMs !== null) {
    add('post_to_answer', answeredMs - dueMs, since(answeredMs));
  } else if (answeredMs !== null && state !== 'refused') never('post_to_answer');
  const offers = timedOffers(ledger, life, radiusKm);
  if (offers.length > 0) {
    const [first, last] = [Math.min(...offers), Math.max(...offers)];
    add('post_to_first_socket', first - dueMs, since(first));
    add('post_to_last_socket', last - dueMs, since(last));
    return;
  }
  const unseen = state === 'unanswered' || state === 'reached_nobody';
  if (!unseen || !shouldHaveReached(ledger, life, radiusKm)) return;
  never('post_to_first_socket');
  never('post_to_last_socket');
}

/** Only on good lines: the delay of a bad one was made by the replay. */
function ofTap(ledger: Ledger, tap: Tap, add: Add, never: Never): void {
  if (ledger.drivers[tap.driver]?.kind !== 'good') return;
  const state = tapState(tap);
  if (state === 'pending' || tap.answeredMs === null || tap.swept) return;
  if (state === 'unanswered') {
    never('tap_to_answer_lost');
    return;
  }
  const serviceMs = tap.sentMs === null ? null : tap.answeredMs - tap.sentMs;
  add(`tap_to_answer_${state}`, tap.answeredMs - tap.dueMs, serviceMs);
}

function ofClaim(ledger: Ledger, life: JobLife, add: Add, never: Never): void {
  const claimed = claimedMs(life);
  if (claimed === null || life.taps.some((tap) => tap.ok && tap.swept)) return;
  const stillHeld = [...life.holders].some((driver) => ledger.drivers[driver]?.kind === 'good');
  if (stillHeld) never('claim_to_last_cleared');
  else add('claim_to_last_cleared', (life.lastGoneMs ?? claimed) - claimed);
  if (life.toldMs === null) never('claim_to_customer_told');
  // Told by a snapshot after a storm: the storm caused that delay.
  else if ((life.toldSinceMs ?? 0) <= claimed) add('claim_to_customer_told', life.toldMs - claimed);
  const pushMs = life.truth?.claimToLastPushMs;
  if (typeof pushMs === 'number') add('claim_to_last_push', pushMs);
}
