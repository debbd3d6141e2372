/**
 * One replay from end to end: sign people up, play the trace, sweep, read the truth, judge, clean
 * up. Unless `keep` is set, it leaves no driver online, no phone registered and no job of its own open.
 * Called by the command line and the demo.
 */
import { type Caller, createCaller } from './caller.ts';
import { nowMs } from './clock.ts';
import { Conductor } from './conductor.ts';
import { countsOf } from './counts.ts';
import { type Environment, watchEnvironment } from './environment.ts';
import { driverId } from './facts.ts';
import { cancelJobs, checkFeeds, type FeedDifference } from './feed-check.ts';
import { UsageError } from './flags.ts';
import { checkInvariants, GONE, STOPPED } from './invariants.ts';
import { seenRadiusKm, stateOf } from './life.ts';
import type { ReplayOptions } from './options.ts';
import { drawReport, type Report } from './report.ts';
import { anyAnswers } from './target.ts';
import { isHopeless, type SoFar } from './threshold.ts';
import { eachTime, type Samples, samplesOf } from './times.ts';
import { tokenSource } from './token-source.ts';
import { openDatabase, readTruth } from './truth.ts';
import { judge } from './verdict.ts';

const SECOND_MS = 1000;
/** How long to wait for the deployment after a stop. */
const STOPPED_CLEAN_UP_MAX_MS = 15_000;
const CLEAN_UP_MAX_MS = 60_000;
/** A deployment that restarts is worth waiting for; one that is gone is not. */
const ANSWER_MAX_MS = 10_000;

export interface Outcome {
  report: Report;
  /** The samples behind the percentiles, for HDR logs. */
  samples: Samples;
  startMs: number;
}

type Sql = ReturnType<typeof openDatabase>;

interface Run {
  options: ReplayOptions;
  conductor: Conductor;
  caller: Caller;
  operator: string;
  sql: Sql;
  /** The user's stop, or the first threshold that cannot be met any more. */
  ending: AbortSignal;
}

/**
 * Throws `CallError` or `UsageError` if the deployment refuses to take part. A run that is stopped while
 * people are signed up has a report as well, of nothing.
 */
export async function runReplay(options: ReplayOptions): Promise<Outcome> {
  const { signal } = options;
  const caller = createCaller(options.urls, tokenSource(options.tokens));
  const conductor = new Conductor(options);
  const operator = `${conductor.run}-operator`;
  const hopeless = new AbortController();
  const ending = AbortSignal.any([signal, hopeless.signal]);
  const sql = openDatabase(options.databaseUrl);
  const run: Run = { options, conductor, caller, operator, sql, ending };
  ending.addEventListener('abort', () => conductor.people.stop(), { once: true });
  try {
    const environment = await prepare(run);
    const startedAt = new Date().toISOString();
    if (!signal.aborted) await playAll(run, hopeless);
    // Stopped before its first event, a play ends before it began.
    const playedMs = Math.max(0, Math.round(conductor.endMs - conductor.startMs));
    const unread = signal.aborted ? STOPPED : await finish(run);
    const feeds = unread === null ? await readEvidence(run) : [];
    return report(run, { environment: environment(), startedAt, playedMs, unread, feeds });
  } finally {
    await cleanUp(run);
    await sql?.end({ timeout: 1 });
  }
}

async function prepare({ options, conductor, sql }: Run): Promise<() => Environment> {
  const { signal, progress, survey, urls, command } = options;
  const people = `${survey.drivers.length} drivers and ${conductor.customers} customers`;
  progress.stage(`signing up ${people}`);
  const prepared = conductor.crowds.all((crowd) => crowd.prepare());
  await Promise.race([prepared, abortOf(signal)]);
  if (sql && !signal.aborted) await mustBeItsDatabase(sql, driverId(conductor.run, 0));
  return watchEnvironment(urls[0] ?? '', command, signal);
}

function abortOf(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Rows of another deployment would make every winner look unrecorded. */
async function mustBeItsDatabase(sql: NonNullable<Sql>, driver: string): Promise<void> {
  const rows = await sql`select 1 from drivers where id = ${driver}`;
  if (rows.length > 0) return;
  throw new UsageError('DATABASE_URL is not the database of this deployment');
}

async function playAll(run: Run, hopeless: AbortController): Promise<void> {
  const { options, conductor, ending } = run;
  const { progress, survey, speed } = options;
  progress.stage(`playing ${survey.jobs} jobs at ${speed}×`);
  const totalMs = survey.durationMs / speed;
  const ticker = setInterval(() => {
    progress.second(conductor.live.take(), nowMs() - conductor.startMs, totalMs);
    if (options.abortOnFail && !ending.aborted) endIfHopeless(run, hopeless);
  }, SECOND_MS);
  try {
    await conductor.play(ending);
  } finally {
    clearInterval(ticker);
  }
}

/** People take what is left and do their work. Returns why nothing more can be learned, or null. */
async function finish({ options, conductor, ending }: Run): Promise<string | null> {
  const { crowds, people } = conductor;
  options.progress.stage('letting people finish');
  if (!(await anyAnswers(options.urls, ANSWER_MAX_MS))) return GONE;
  await crowds.all((crowd) => crowd.mend());
  if (!ending.aborted) await people.sweep();
  people.stop();
  if (!options.keep) await crowds.all((crowd) => crowd.finishWork());
  return options.signal.aborted ? STOPPED : null;
}

function endIfHopeless({ options, conductor }: Run, hopeless: AbortController): void {
  const { ledger } = conductor;
  const { jobs } = options.survey;
  const fromMs = conductor.startMs + options.warmupS * SECOND_MS;
  const radiusKm = seenRadiusKm(ledger);
  const samples = samplesOf(ledger, { radiusKm, fromMs, stopped: true });
  const soFar: SoFar = {
    values: eachTime((name) => samples[name].map(({ ms }) => ms)),
    most: eachTime((name) => (name === 'tap_to_answer_lost' ? jobs * ledger.drivers.length : jobs)),
    counts: countsOf(ledger, fromMs),
  };
  const found = options.thresholds.find((threshold) => isHopeless(threshold, soFar));
  if (!found) return;
  options.progress.stage(`${found.text} cannot be met any more`);
  hopeless.abort();
}

async function readEvidence({ options, conductor, caller, operator, sql }: Run) {
  const { ledger, crowds, run, random } = conductor;
  options.progress.stage('comparing feeds with the truth');
  const declines = new Map(
    ledger.jobs.flatMap((life) => (life.id === null ? [] : [[life.id, life.declines] as const])),
  );
  const check = { caller, operator, run, crowds: crowds.ports, declines, sql, random };
  const feeds = await checkFeeds(check);
  options.progress.stage('reading winners and pushes');
  await readTruth(caller, operator, sql, ledger.jobs);
  return feeds;
}

interface Gathered {
  environment: Environment;
  startedAt: string;
  playedMs: number;
  unread: string | null;
  feeds: readonly FeedDifference[];
}

function scopeOf({ conductor, options, ending }: Run, endMs: number) {
  const { startMs } = conductor;
  const fromMs = startMs + options.warmupS * SECOND_MS;
  return { startMs, endMs, fromMs, jobs: options.survey.jobs, stopped: ending.aborted };
}

function report(started: Run, gathered: Gathered): Outcome {
  const { options, conductor, ending } = started;
  const { ledger, replayer, run, startMs } = conductor;
  const { survey, source, signal, maxBehindMs, thresholds } = options;
  const scope = scopeOf(started, startMs + gathered.playedMs);
  const { samples, parts } = drawReport(ledger, scope, thresholds);
  const invariants = checkInvariants({
    lives: ledger.jobs,
    feeds: gathered.feeds,
    withDatabase: options.databaseUrl !== undefined,
    unread: gathered.unread,
    endedEarly: ending.aborted || gathered.unread !== null,
    driverId: (driver) => driverId(run, driver),
  });
  const aborted = ending.aborted && !signal.aborted;
  const found = { invariants, thresholds: parts.thresholds, replayer, maxBehindMs, aborted };
  const judged = judge({ ...found, stopped: signal.aborted });
  const { events, jobs, durationMs: duration_ms, sha256 } = survey;
  const trace = { name: source.name, sha256, events, drivers: survey.drivers.length, jobs };
  return {
    samples,
    startMs,
    report: {
      ok: judged.exitCode === 0,
      exit_code: judged.exitCode,
      verdict: judged.verdict,
      run,
      trace: { ...trace, duration_ms },
      urls: [...options.urls],
      started_at: gathered.startedAt,
      speed: options.speed,
      seed: options.seed,
      arrivals: options.arrivals,
      people: options.people,
      phones: options.phones,
      taps_per_job: options.taps,
      warmup_s: options.warmupS,
      max_behind_ms: maxBehindMs,
      partial: ending.aborted,
      void: judged.void,
      played_ms: gathered.playedMs,
      ...parts,
      invariants,
      storms: conductor.stormReports(),
      replayer,
      environment: gathered.environment,
    },
  };
}

/** Jobs that nobody has are cancelled, drivers go offline, phones are forgotten. */
async function cleanUp({ options, conductor, caller, operator }: Run): Promise<void> {
  conductor.people.stop();
  const { ledger, crowds } = conductor;
  const leave = async (): Promise<void> => {
    // What is already gone need not be cleaned up.
    const nobody = !(await anyAnswers(options.urls, 0));
    if (!options.keep && !nobody) {
      await crowds.all((crowd) => crowd.finishWork());
      // Those that are over by now are left alone.
      const left = ledger.jobs.filter((life) => stateOf(life) !== 'taken');
      await cancelJobs(
        caller,
        operator,
        left.flatMap((life) => life.id ?? []),
      );
    }
    await crowds.all((crowd) => crowd.leave(options.keep || nobody));
  };
  const leaving = leave().catch(() => {});
  const maxMs = options.signal.aborted ? STOPPED_CLEAN_UP_MAX_MS : CLEAN_UP_MAX_MS;
  const limit = new Promise<void>((resolve) => setTimeout(resolve, maxMs).unref());
  await Promise.race([leaving, limit]);
}
