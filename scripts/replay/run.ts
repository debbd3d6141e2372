/**
 * One replay from end to end: sign people up, play the trace, sweep, read the truth, judge, clean
 * up. It leaves no driver online and no job of its own open. Called by the command line and the
 * demo.
 */
import { randomBytes } from 'node:crypto';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Job } from '../client/protocol.ts';
import { type Caller, createCaller, type Sign } from './caller.ts';
import { play } from './clock.ts';
import { type Customers, createCustomers } from './customers.ts';
import { cancelJobs, checkFeeds } from './feed-check.ts';
import { Fleet, type SimDriver } from './fleet.ts';
import { History, type JobTrack } from './history.ts';
import { checkInvariants } from './invariants.ts';
import { type Random, seededRandom } from './random.ts';
import { type Report, type Sample, sumUp } from './report.ts';
import { Tapper } from './tapper.ts';
import { type Survey, surveyTrace, type TraceEvent, type TraceSource } from './trace.ts';
import { isTaken, openDatabase, readTruth } from './truth.ts';

const SAMPLE_MS = 1000;
/** Posts that are still on their way when the trace ends. */
const POSTS_MAX_MS = 30_000;

export interface ReplayOptions {
  source: TraceSource;
  /** Base URLs of the API processes; people are spread over them. */
  urls: readonly string[];
  sign: Sign;
  speed: number;
  /** How many drivers tap each job, at most. */
  taps: number;
  seed: number;
  /** Where the rows can be read besides the API. */
  databaseUrl?: string | undefined;
  /** Ends the run early: what was started is cleaned up, nothing is judged. */
  signal: AbortSignal;
  /** Hears what is going on: a stage, or a sample each second. */
  onStage(text: string): void;
  onSample(sample: Sample, survey: Survey): void;
}

interface Stage extends ReplayOptions {
  run: string;
  operator: string;
  survey: Survey;
  random: Random;
  caller: Caller;
  history: History;
  tapper: Tapper;
  fleet: Fleet;
  customers: Customers;
  posting: Set<Promise<void>>;
}

/**
 * Throws `TraceError` for a bad trace, `CallError` where the deployment refuses to take part, and
 * the signal's reason when it was aborted.
 */
export async function runReplay(options: ReplayOptions): Promise<Report> {
  const survey = await surveyTrace(options.source);
  const stage = setUp(options, survey);
  const startedAt = new Date().toISOString();
  try {
    options.onStage(`signing up ${survey.drivers.length} drivers`);
    await stage.fleet.prepare();
    const samples: Sample[] = [];
    const loop = monitorEventLoopDelay({ resolution: 10 });
    loop.enable();
    const startMs = performance.now();
    const ticker = setInterval(() => {
      samples.push(sampleOf(stage, startMs));
      options.onSample(sampleOf(stage, startMs), survey);
    }, SAMPLE_MS);
    const played = await playAll(stage).finally(() => clearInterval(ticker));
    loop.disable();
    const playedMs = Math.round(performance.now() - startMs);
    samples.push(sampleOf(stage, startMs));
    const judged = await judge(stage);
    return {
      ok: judged.invariants.every((invariant) => invariant.violations.length === 0),
      run: stage.run,
      trace: {
        name: options.source.name,
        events: survey.events,
        drivers: survey.drivers.length,
        jobs: survey.jobs,
        duration_ms: survey.durationMs,
      },
      urls: [...options.urls],
      started_at: startedAt,
      speed: options.speed,
      taps_per_job: options.taps,
      seed: options.seed,
      played_ms: playedMs,
      replayer: {
        behind_max_ms: Math.round(played.behindMaxMs),
        event_loop_p99_ms: Math.round(loop.percentile(99) / 1e6),
      },
      samples,
      ...judged,
    };
  } finally {
    stage.tapper.stop();
    stage.customers.close();
    await stage.fleet.close();
  }
}

function setUp(options: ReplayOptions, survey: Survey): Stage {
  const run = `r${randomBytes(4).toString('hex')}`;
  const operator = `${run}-operator`;
  const caller = createCaller(options.urls, options.sign, options.signal);
  const history = new History();
  const random = seededRandom(options.seed);
  const tapper = new Tapper(options.taps, random, history);
  // Jobs of others may be in the feeds as well; ours carry the run and their name in the notes.
  const ours = (job: Job): JobTrack | undefined =>
    job.notes?.startsWith(`${run} `)
      ? history.jobs.get(job.notes.slice(run.length + 1))
      : undefined;
  const events = {
    offered(driver: SimDriver, job: Job): void {
      const track = ours(job);
      if (!track) return;
      history.offered(track, job.id, driver.index, performance.now(), driver.onlineSinceMs);
      tapper.offered(track);
    },
    gone(driver: SimDriver, job: Job): void {
      const track = ours(job);
      if (track) history.gone(track, driver.index, performance.now());
    },
  };
  const fleet = new Fleet(survey.drivers, { caller, run, operator, speed: options.speed, events });
  tapper.attach(fleet);
  options.signal.addEventListener('abort', () => tapper.stop(), { once: true });
  const customers = createCustomers(caller);
  const posting = new Set<Promise<void>>();
  const parts = { caller, history, tapper, fleet, customers, posting };
  return { ...options, run, operator, survey, random, ...parts };
}

async function playAll(stage: Stage): Promise<{ behindMaxMs: number }> {
  stage.onStage(`playing ${stage.survey.jobs} jobs`);
  const take = (event: TraceEvent): void => {
    if (event.type === 'location') stage.fleet.fix(event);
    else post(stage, event.job, event.lat, event.lng);
  };
  const played = await play(stage.source, stage.speed, take, stage.signal);
  stage.signal.throwIfAborted();
  const late = new Promise((resolve) => setTimeout(resolve, POSTS_MAX_MS).unref());
  await Promise.race([Promise.all(stage.posting), late]);
  await stage.tapper.sweep();
  stage.tapper.stop();
  stage.signal.throwIfAborted();
  await stage.fleet.completeAll();
  return played;
}

function post({ history, customers, posting, run }: Stage, name: string, lat: number, lng: number) {
  const track = history.begin(name, `${run}-c${history.jobs.size + 1}`, lat, lng);
  const done = customers.post(track, `${run} ${name}`).finally(() => posting.delete(done));
  posting.add(done);
}

async function judge(stage: Stage) {
  const { caller, operator, fleet, history } = stage;
  const tracks = [...history.jobs.values()];
  const sql = openDatabase(stage.databaseUrl);
  try {
    stage.onStage('comparing feeds with the truth');
    const feeds = await checkFeeds({ ...stage, sql });
    stage.onStage('reading winners and pushes');
    const truth = await readTruth(caller, operator, sql, tracks);
    const driverId = (index: number): string => fleet.drivers[index]?.id ?? `driver ${index}`;
    const evidence = { tracks, truth, feeds, withDatabase: sql !== null, driverId };
    const invariants = checkInvariants(evidence);
    const open = tracks.filter((track) => !isTaken(truth.get(track.name)?.api));
    await cancelJobs(
      caller,
      operator,
      open.flatMap((track) => track.id ?? []),
    );
    return { invariants, ...sumUp(history, truth, stage.customers.connected) };
  } finally {
    await sql?.end({ timeout: 1 });
  }
}

function sampleOf({ history, fleet }: Stage, startMs: number): Sample {
  const posted = [...history.jobs.values()].filter((track) => track.id !== null).length;
  const { offers, taps, won, lost } = history;
  const t_ms = Math.round(performance.now() - startMs);
  return { t_ms, posted, offers, taps, won, lost, online: fleet.online };
}
