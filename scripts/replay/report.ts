/**
 * The result of a replay as one value, which `--json` writes and table, page and JUnit are made from.
 * All of it comes from the ledger. Field names are those of the JSON, times are milliseconds.
 */
import { type Counts, countsOf } from './counts.ts';
import { type CurvePoint, curvesOf } from './curves.ts';
import type { Environment } from './environment.ts';
import type { Invariant } from './invariants.ts';
import type { JobLife, Ledger } from './ledger.ts';
import { seenRadiusKm, stateOf } from './life.ts';
import { type Series, type Slice, seriesOf, slicesOf } from './series.ts';
import type { Spread } from './stats.ts';
import { type Judged, judgeThreshold, type Threshold } from './threshold.ts';
import { eachTime, type Samples, samplesOf, spreadsOf, type TimeName } from './times.ts';

export interface Report {
  /** Safe, fast enough and valid. */
  ok: boolean;
  exit_code: number;
  /** One sentence each. */
  verdict: { safe: Verdict; fast_enough: Verdict; valid: Verdict };
  run: string;
  trace: {
    name: string;
    sha256: string;
    events: number;
    drivers: number;
    jobs: number;
    duration_ms: number;
  };
  urls: string[];
  started_at: string;
  speed: number;
  seed: number;
  arrivals: 'open' | 'closed';
  people: 'real' | 'greedy';
  phones: { good: number; slow: number; flaky: number };
  taps_per_job: number;
  warmup_s: number;
  max_behind_ms: number;
  /** The run ended before its trace. */
  partial: boolean;
  /** The replayer could not keep its schedule. */
  void: boolean;
  /** How long the play itself took. */
  played_ms: number;
  counts: Counts;
  times: Record<TimeName, Spread>;
  /** The same from when a request really left the replayer. */
  service_times: Record<TimeName, Spread>;
  /** How many of each never came and count with their deadline. */
  never: Record<TimeName, number>;
  /** The share of jobs that took longer than this many milliseconds from post to first socket. */
  slower_than: { ms: number; share: number }[];
  pushes: { attempts: number; sent: number; to_customers: number; after_claim: number };
  thresholds: Judged[];
  invariants: Invariant[];
  storms: StormReport[];
  replayer: ReplayerReport;
  environment: Environment;
  series: Series;
  slices: Slice[];
  curves: Record<TimeName, CurvePoint[]>;
  /** Where jobs appeared and what became of them; a random part of many. */
  map: { lat: number; lng: number; state: string }[];
}

export interface Verdict {
  ok: boolean;
  text: string;
}

export interface StormReport {
  at_s: number;
  share: number;
  sync: boolean;
  /** How many sockets were cut. */
  cut: number;
  /** How many drivers came back, and when the last did. */
  back: number;
  last_back_ms: number | null;
}

export interface ReplayerReport {
  processes: number;
  events: number;
  /** Events that left later than `max_behind_ms` after their moment, and the latest of all. */
  late: number;
  behind_max_ms: number;
  event_loop_p99_ms: number;
  /** The busiest process, as a share of one core. */
  cpu: number;
}

/** The page stays small; a part of a large city looks the same. */
const MAP_POINTS_MAX = 2500;
const SLOWER_THAN_MS = [50, 100, 250, 500, 1000, 2000, 5000, 10_000];

export interface Drawn {
  counts: Counts;
  samples: Samples;
  parts: Pick<
    Report,
    | 'counts'
    | 'times'
    | 'service_times'
    | 'never'
    | 'slower_than'
    | 'pushes'
    | 'thresholds'
    | 'series'
    | 'slices'
    | 'curves'
    | 'map'
  >;
}

/** Everything that is summed up over jobs. */
export function drawReport(
  ledger: Ledger,
  scope: { startMs: number; endMs: number; fromMs: number; jobs: number; stopped: boolean },
  thresholds: readonly Threshold[],
): Drawn {
  const { startMs, endMs, fromMs, stopped, jobs } = scope;
  const samples = samplesOf(ledger, { radiusKm: seenRadiusKm(ledger), fromMs, stopped });
  const counts = countsOf(ledger, fromMs);
  const times = spreadsOf(samples);
  const parts = {
    counts,
    times,
    service_times: serviceTimesOf(samples),
    never: eachTime((name) => samples[name].filter(({ never }) => never).length),
    slower_than: slowerThan(samples),
    pushes: sumPushes(ledger.jobs),
    thresholds: thresholds.map((threshold) => judgeThreshold(threshold, times, counts)),
    series: seriesOf(ledger, samples, startMs, endMs),
    slices: slicesOf(samples, jobs),
    curves: curvesOf(samples),
    map: mapOf(ledger.jobs),
  };
  return { counts, samples, parts };
}

function serviceTimesOf(samples: Samples): Record<TimeName, Spread> {
  const only = eachTime((name) => samples[name].filter(({ serviceMs }) => serviceMs !== null));
  const swapped = eachTime((name) =>
    only[name].map((sample) => ({ ...sample, ms: Math.max(0, sample.serviceMs ?? 0) })),
  );
  return spreadsOf(swapped);
}

function slowerThan({ post_to_first_socket: samples }: Samples): Report['slower_than'] {
  if (samples.length === 0) return [];
  return SLOWER_THAN_MS.map((ms) => {
    const slower = samples.filter((sample) => sample.ms > ms).length;
    return { ms, share: Math.round((slower / samples.length) * 10_000) / 10_000 };
  });
}

function sumPushes(lives: readonly JobLife[]): Report['pushes'] {
  const pushes = { attempts: 0, sent: 0, to_customers: 0, after_claim: 0 };
  for (const { truth } of lives) {
    if (!truth) continue;
    pushes.attempts += truth.pushes.attempts;
    pushes.sent += truth.pushes.sent;
    pushes.to_customers += truth.pushes.customerSent;
    pushes.after_claim += truth.pushes.afterClaim;
  }
  return pushes;
}

function mapOf(lives: readonly JobLife[]): Report['map'] {
  const every = Math.max(1, Math.ceil(lives.length / MAP_POINTS_MAX));
  return lives
    .filter((_, i) => i % every === 0)
    .map((life) => ({ lat: life.lat, lng: life.lng, state: stateOf(life) }));
}
