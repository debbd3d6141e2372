/**
 * The outcome of a replay as one value: what `--json` writes, what table and page are made from.
 * Field names are those of the JSON. Times are milliseconds.
 */
import type { History, JobTrack } from './history.ts';
import type { Invariant } from './invariants.ts';
import { type Spread, spreadOf } from './stats.ts';
import { isTaken, type JobTruth } from './truth.ts';

/** One look at the run while it goes on; `t_ms` from the start of the play. */
export interface Sample {
  t_ms: number;
  posted: number;
  offers: number;
  taps: number;
  won: number;
  lost: number;
  online: number;
}

export interface Report {
  ok: boolean;
  run: string;
  trace: { name: string; events: number; drivers: number; jobs: number; duration_ms: number };
  urls: string[];
  started_at: string;
  speed: number;
  taps_per_job: number;
  seed: number;
  /** How long the play itself took. */
  played_ms: number;
  counts: {
    jobs: number;
    posted: number;
    reached: number;
    reached_nobody: number;
    offers: number;
    taps: number;
    won: number;
    lost: number;
    unanswered: number;
    customers_connected: number;
  };
  times: Record<TimeName, Spread>;
  pushes: {
    attempts: number;
    sent: number;
    customers_pushed: number;
    customer_repeats: number;
    driver_repeats: number;
    after_claim: number;
  };
  /** How far the replayer itself lagged: beyond some tens of milliseconds it measures itself. */
  replayer: { behind_max_ms: number; event_loop_p99_ms: number };
  invariants: Invariant[];
  samples: Sample[];
  /** Where jobs appeared and what became of them. */
  map: { lat: number; lng: number; state: 'taken' | 'reached_nobody' | 'open' }[];
}

export type TimeName =
  | 'post_to_first_socket'
  | 'post_to_last_socket'
  | 'tap_to_answer_won'
  | 'tap_to_answer_lost'
  | 'claim_to_last_cleared'
  | 'claim_to_customer_told'
  | 'claim_to_last_push';

/** What each time says to people. */
export const TIME_TITLES: Record<TimeName, string> = {
  post_to_first_socket: 'post → first socket',
  post_to_last_socket: 'post → last socket',
  tap_to_answer_won: 'tap → answer, winners',
  tap_to_answer_lost: 'tap → answer, losers',
  claim_to_last_cleared: 'claim → last other socket cleared',
  claim_to_customer_told: "claim → customer's socket told",
  claim_to_last_push: 'claim → last push to a driver sent',
};

/** The page stays small; a random part of a large city looks the same. */
const MAP_POINTS_MAX = 4000;

/** Everything that is summed up from single jobs. */
export function sumUp(
  history: History,
  truth: ReadonlyMap<string, JobTruth>,
  connected: number,
): Pick<Report, 'counts' | 'times' | 'pushes' | 'map'> {
  const tracks = [...history.jobs.values()];
  const reached = tracks.filter((track) => track.reached.size > 0).length;
  const posted = tracks.filter((track) => track.id !== null).length;
  return {
    counts: {
      jobs: tracks.length,
      posted,
      reached,
      reached_nobody: posted - reached,
      offers: history.offers,
      taps: history.taps,
      won: history.won,
      lost: history.lost,
      unanswered: history.unanswered,
      customers_connected: connected,
    },
    times: timesOf(tracks, [...truth.values()]),
    pushes: sumPushes([...truth.values()]),
    map: tracks.slice(0, MAP_POINTS_MAX).map((track) => mapPoint(track, truth.get(track.name))),
  };
}

/** All samples behind the times, for spreads and histograms. */
export function timesOf(
  tracks: readonly JobTrack[],
  truths: readonly JobTruth[],
): Record<TimeName, Spread> {
  const taps = tracks.flatMap((track) => track.taps);
  const answers = (ok: boolean): number[] =>
    taps.flatMap((tap) => (tap.ok === ok ? between(tap.atMs, tap.answeredMs) : []));
  const span = (from: keyof JobTrack, to: keyof JobTrack): number[] =>
    tracks.flatMap((track) => between(track[from], track[to]));
  return {
    post_to_first_socket: spreadOf(span('postedMs', 'firstOfferMs')),
    post_to_last_socket: spreadOf(span('postedMs', 'lastOfferMs')),
    tap_to_answer_won: spreadOf(answers(true)),
    tap_to_answer_lost: spreadOf(answers(false)),
    claim_to_last_cleared: spreadOf(span('claimedMs', 'clearedMs')),
    claim_to_customer_told: spreadOf(span('claimedMs', 'customerToldMs')),
    claim_to_last_push: spreadOf(truths.flatMap((truth) => truth.claimToLastPushMs ?? [])),
  };
}

/** Never negative: the news may overtake the winner's own answer by a moment. */
function between(from: unknown, to: unknown): number[] {
  if (typeof from !== 'number' || typeof to !== 'number') return [];
  return [Math.max(0, to - from)];
}

function sumPushes(truths: readonly JobTruth[]): Report['pushes'] {
  const sum = (count: (truth: JobTruth) => number): number =>
    truths.reduce((total, truth) => total + count(truth), 0);
  return {
    attempts: sum(({ pushes }) => pushes.attempts),
    sent: sum(({ pushes }) => pushes.sent),
    customers_pushed: sum(({ pushes }) => Number(pushes.customerSent > 0)),
    customer_repeats: sum(({ pushes }) => Math.max(0, pushes.customerSent - 1)),
    driver_repeats: sum(({ pushes }) => pushes.driverRepeats.length),
    after_claim: sum(({ pushes }) => pushes.afterClaim),
  };
}

function mapPoint(track: JobTrack, truth: JobTruth | undefined): Report['map'][number] {
  const { lat, lng } = track;
  if (isTaken(truth?.sql ?? truth?.api)) return { lat, lng, state: 'taken' };
  return { lat, lng, state: track.reached.size > 0 ? 'open' : 'reached_nobody' };
}
