/** The replay's command line: its help, its flags, and all checks that need no deployment. */
import { type Flags, numberFlag, readFlags, UsageError, wordFlag } from './flags.ts';
import { mustHaveFiles } from './open-files.ts';
import type { ReplayOptions } from './options.ts';
import { checkOutputs } from './output-files.ts';
import { ALL_GOOD, parsePhones } from './phones.ts';
import { parseStorm } from './storm.ts';
import { parseThreshold } from './threshold.ts';
import { fileTrace, type Survey, surveyTrace } from './trace.ts';

export const HELP = `npm run replay -- --trace FILE [options]

Plays a burst trace with simulated drivers and customers on real sockets, measures, and judges.

  --trace FILE          JSON Lines sorted by time, gzip allowed
  --url URL[,URL…]      the deployment; may be repeated (default: npm start of this checkout,
                        else http://127.0.0.1:8080)
  --token-cmd CMD       prints a token for {role} and {sub}, which also are $ROLE and $SUB
                        (default: signed with AUTH_JWT_SECRET, or as npm start of this checkout)
  --speed N             N times real time (default 60)
  --seed N              whom chance picks (default 1)
  --taps N              at most N drivers tap each job (default 5)
  --arrivals open       each job at its moment in the trace; closed: the next waits for the answer
                        to the last (default open)
  --people real         one tap at a time, none while there is a job to do; greedy: whoever sees a
                        job taps (default real)
  --phones K:N,…        per cent of phones that are good, slow and flaky, as good:80,slow:15,flaky:5
  --storm T:P%[:sync]   after T of the run, as 30s, drop P per cent of the sockets; they come back
                        with full jitter, or all at once; may be repeated
  --warmup S            leave the first S seconds of the run out of the times (default 0)
  --threshold 'X<N'     as post_to_first_socket.p99<500 or counts.open<1; may be repeated
  --abort-on-fail       stop at the first threshold that cannot be met any more
  --max-behind MS       the measurement is void when the replayer was further behind (default 50)
  --keep                leave drivers online, phones registered and jobs open
  --json F  --html F  --junit F  --hdr F
                        write the result, a report page, cases for CI, an HdrHistogram log

Rows in Postgres are compared too where DATABASE_URL is set or npm start runs here. The phones are
made up: use it with the APNs simulator. docs/load-testing.md says more.

Exit code: 0 good, 1 safety broken, 2 could not run, 3 a threshold missed or answers too late,
4 void: the replayer could not keep its schedule, 130 stopped, with a partial report.`;

export const OUTPUTS = ['json', 'html', 'junit', 'hdr'] as const;

const NAMES = {
  values: [
    ...['trace', 'token-cmd', 'speed', 'seed', 'taps', 'arrivals', 'people', 'phones'],
    ...['warmup', 'max-behind', ...OUTPUTS],
  ],
  lists: ['url', 'storm', 'threshold'],
  switches: ['abort-on-fail', 'keep'],
};

/** The settings that can be checked without the deployment. */
export type Settings = Omit<
  ReplayOptions,
  'urls' | 'tokens' | 'databaseUrl' | 'signal' | 'progress' | 'command'
>;

export interface CommandLine {
  settings: Settings;
  urls: readonly string[];
  tokenCommand: string | undefined;
  /** Flag to path. */
  outputs: ReadonlyMap<(typeof OUTPUTS)[number], string>;
}

/** Null when help was requested. Throws `UsageError` and `TraceError`. */
export async function readCommandLine(argv: readonly string[]): Promise<CommandLine | null> {
  const flags = readFlags(argv, NAMES);
  if (flags.help) return null;
  const { values, lists } = flags;
  const trace = values.get('trace');
  if (trace === undefined) throw new UsageError('--trace FILE is missing (see --help)');
  const choices = readChoices(flags);
  const outputs = new Map(
    OUTPUTS.flatMap((name) => {
      const path = values.get(name);
      return path === undefined ? [] : [[name, path] as const];
    }),
  );
  await checkOutputs(outputs, [trace]);
  const source = fileTrace(trace);
  const survey = await surveyTrace(source);
  mustFit(survey, choices);
  mustHaveFiles(survey, choices.speed);
  const settings = { source, survey, ...choices };
  const urls = lists.get('url') ?? [];
  return { settings, urls, tokenCommand: values.get('token-cmd'), outputs };
}

function readChoices({ values, lists, on }: Flags): Omit<Settings, 'source' | 'survey'> {
  const number = (name: string, fallback: number, min: number, max: number, whole = true) =>
    numberFlag(values, name, fallback, { min, max, whole });
  const phones = values.get('phones');
  const choices = {
    speed: number('speed', 60, 0.1, 10_000, false),
    seed: number('seed', 1, 0, 2 ** 32 - 1),
    taps: number('taps', 5, 1, 1000),
    arrivals: wordFlag(values, 'arrivals', ['open', 'closed']),
    people: wordFlag(values, 'people', ['real', 'greedy']),
    phones: phones === undefined ? ALL_GOOD : parsePhones(phones),
    storms: (lists.get('storm') ?? []).map(parseStorm),
    warmupS: number('warmup', 0, 0, 86_400, false),
    maxBehindMs: number('max-behind', 50, 0, 3_600_000, false),
    thresholds: (lists.get('threshold') ?? []).map(parseThreshold),
    abortOnFail: on.has('abort-on-fail'),
    keep: on.has('keep'),
  };
  if (choices.abortOnFail && choices.thresholds.length === 0) {
    throw new UsageError('--abort-on-fail needs a --threshold');
  }
  return choices;
}

/** A storm beyond the end of the run would silently not happen. */
function mustFit(
  survey: Survey,
  { speed, storms, warmupS }: Pick<Settings, 'speed' | 'storms' | 'warmupS'>,
): void {
  const runS = survey.durationMs / 1000 / speed;
  const length = `the run, which takes ${runS.toFixed(1)} s at ${speed}×`;
  const late = storms.find(({ atS }) => atS > runS);
  if (late) throw new UsageError(`--storm at ${late.atS} s is after ${length}`);
  if (warmupS > 0 && warmupS >= runS)
    throw new UsageError(`--warmup ${warmupS} is all of ${length}`);
  if (survey.jobs === 0) throw new UsageError('the trace has no jobs');
  if (survey.drivers.length === 0) throw new UsageError('the trace has no drivers');
}
