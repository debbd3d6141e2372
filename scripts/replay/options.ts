/** The checked options of a replay, from the command line or the demo. */

import type { PeopleKind } from './people.ts';
import type { PhoneShares } from './phones.ts';
import type { Progress } from './progress.ts';
import type { Storm } from './storm.ts';
import type { Threshold } from './threshold.ts';
import type { TokenSpec } from './token-source.ts';
import type { Survey, TraceSource } from './trace.ts';

export interface ReplayOptions {
  source: TraceSource;
  survey: Survey;
  /** Base URLs of the API processes; people are spread over them. */
  urls: readonly string[];
  tokens: TokenSpec;
  /** Where the rows can be read besides the API. */
  databaseUrl: string | undefined;
  speed: number;
  seed: number;
  /** How many drivers tap each job, at most. */
  taps: number;
  arrivals: 'open' | 'closed';
  people: PeopleKind;
  phones: PhoneShares;
  storms: readonly Storm[];
  /** Jobs of the first seconds are left out of the times. */
  warmupS: number;
  maxBehindMs: number;
  thresholds: readonly Threshold[];
  /** Ends the run at the first threshold that cannot be met any more. */
  abortOnFail: boolean;
  /** Leaves drivers online, phones registered and jobs open. */
  keep: boolean;
  /** The command line, for the report. */
  command: string;
  /** Ends the run early: a partial report, no feeds or rows compared. */
  signal: AbortSignal;
  progress: Progress;
  /** How many processes hold the phones; by default as many as the trace asks for. */
  processes?: number;
}
