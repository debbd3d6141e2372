/** The counts of a run, drawn from the ledger. Jobs add up by state, taps by answer. */
import type { Ledger } from './ledger.ts';
import { stateOf, tapState } from './life.ts';

export interface Counts {
  /** Jobs whose moment came: refused, unanswered, pending, reached_nobody, open and taken. */
  jobs: number;
  /** Jobs that are known to exist: reached_nobody, open and taken. */
  posted: number;
  refused: number;
  unanswered_posts: number;
  pending: number;
  /** Seen on a screen: open and taken. */
  reached: number;
  reached_nobody: number;
  open: number;
  taken: number;
  /** Taken only after the trace was over, when people took what was left. */
  swept: number;
  /** How often a job appeared on a driver's screen. */
  offers: number;
  /** won, lost, unanswered and pending_taps. */
  taps: number;
  won: number;
  lost: number;
  unanswered: number;
  pending_taps: number;
  declined: number;
  customers_told: number;
  /** Jobs that were left out of the times. */
  warmup: number;
}

export function countsOf(ledger: Ledger, fromMs: number): Counts {
  const states = { pending: 0, refused: 0, unanswered: 0, reached_nobody: 0, open: 0, taken: 0 };
  const taps = { pending: 0, won: 0, lost: 0, unanswered: 0 };
  let [offers, declined, told, warmup, swept] = [0, 0, 0, 0, 0];
  for (const life of ledger.jobs) {
    states[stateOf(life)] += 1;
    for (const tap of life.taps) taps[tapState(tap)] += 1;
    swept += Number(life.taps.some((tap) => tap.ok && tap.swept));
    offers += life.reached.size;
    declined += life.declines.size;
    told += Number(life.toldMs !== null);
    warmup += Number(life.dueMs < fromMs);
  }
  const { refused, unanswered, pending, reached_nobody, open, taken } = states;
  return {
    jobs: ledger.jobs.length,
    posted: reached_nobody + open + taken,
    refused,
    unanswered_posts: unanswered,
    pending,
    reached: open + taken,
    reached_nobody,
    open,
    taken,
    swept,
    offers,
    taps: taps.won + taps.lost + taps.unanswered + taps.pending,
    won: taps.won,
    lost: taps.lost,
    unanswered: taps.unanswered,
    pending_taps: taps.pending,
    declined,
    customers_told: told,
    warmup,
  };
}
