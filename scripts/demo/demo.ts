/**
 * `npm run demo`: starts the whole stack in a folder of its own, two API processes side by side,
 * and replays an evening of a made-up city against it. Exit code 0 only when all invariants hold,
 * else as the replay's. Everything it started is stopped.
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { checkoutStateDir } from '../../engine/process/dev-secret.ts';
import { temporaryDir } from '../dev/places.ts';
import { startStack } from '../dev/stack.ts';
import { commandLine } from '../replay/environment.ts';
import { numberFlag, readFlags, UsageError } from '../replay/flags.ts';
import { checkOutputs, writeOut } from '../replay/output-files.ts';
import { renderPage } from '../replay/page/page.ts';
import { ALL_GOOD } from '../replay/phones.ts';
import { printProgress } from '../replay/progress.ts';
import type { Report } from '../replay/report.ts';
import { runReplay } from '../replay/run.ts';
import { Stopped, stopSignal } from '../replay/stop-signal.ts';
import { formatReport } from '../replay/table.ts';
import { toldOf } from '../replay/told.ts';
import { surveyTrace } from '../replay/trace.ts';
import { EXIT } from '../replay/verdict.ts';
import { type CityOptions, makeCity } from './city.ts';

const HELP = `npm run demo [-- options]

Starts Muster, replays a burst in a made-up city with simulated drivers and customers, checks it.

  --jobs N      how many jobs appear (default 200)
  --drivers N   how many drivers work (default 150)
  --seed N      which evening it is (default 1)
  --html FILE   where the report goes (default .muster/demo.html)`;

const API_PROCESSES = 2;
/** Twenty minutes of the city in twenty seconds. */
const SPEED = 60;
const TAPS = 8;
/** A demo measures nothing, so it may share its machine with anything. */
const MAX_BEHIND_MS = 60_000;
/** Made-up drivers must not get into a real database, nor made-up phones to the real APNs. */
const OWN_EVERYTHING = {
  NODE_ENV: 'development',
  ...Object.fromEntries(
    [
      ...['DATABASE_URL', 'REDIS_URL', 'HOST', 'WORKER_PORT'],
      ...['AUTH_JWT_SECRET', 'AUTH_JWKS_URL', 'AUTH_ISSUER', 'AUTH_AUDIENCE'],
      ...['APNS_URL', 'APNS_CA_FILE', 'APNS_KEY', 'APNS_KEY_FILE', 'APNS_KEY_ID', 'APNS_TEAM_ID'],
    ].map((name) => [name, undefined]),
  ),
};

// A forgotten socket must not keep a finished run alive.
process.exit(await main());

async function main(): Promise<number> {
  try {
    return await demo(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${toldOf('demo', error)}\n`);
    return error instanceof Stopped ? EXIT.stopped : EXIT.couldNotRun;
  }
}

async function demo(argv: readonly string[]): Promise<number> {
  const { help, values } = readFlags(argv, { values: ['jobs', 'drivers', 'seed', 'html'] });
  if (help) {
    process.stdout.write(`${HELP}\n`);
    return 0;
  }
  const city = {
    jobs: numberFlag(values, 'jobs', 200, { min: 1, max: 20_000, whole: true }),
    drivers: numberFlag(values, 'drivers', 150, { min: 1, max: 2000, whole: true }),
    seed: numberFlag(values, 'seed', 1, { min: 0, max: 2 ** 32 - 1, whole: true }),
  };
  const html = values.get('html') ?? join(checkoutStateDir, 'demo.html');
  await checkOutputs(new Map([['html', html]]));
  const report = await playCity(city, stopSignal());
  await writeOut(html, renderPage(report));
  process.stdout.write(`${formatReport(report)}\nreport: ${html}\n`);
  return report.exit_code;
}

async function playCity(city: CityOptions, signal: AbortSignal): Promise<Report> {
  const stateDir = temporaryDir('muster-demo-');
  process.stdout.write('starting the stack …\n');
  let ok = false;
  try {
    const own = { stateDir, env: OWN_EVERYTHING, port: 0, quiet: true, signal };
    const stack = await startStack({ ...own, apis: API_PROCESSES }).catch((error: Error) => {
      signal.throwIfAborted();
      throw new UsageError(error.message);
    });
    void stack.died.then((how) => process.stderr.write(`\ndemo: ${how}\n`));
    try {
      const { urls, secret = '', databaseUrl } = stack;
      const source = makeCity(city);
      const { report } = await runReplay({
        source,
        survey: await surveyTrace(source),
        urls,
        tokens: { secret },
        databaseUrl,
        speed: SPEED,
        seed: city.seed,
        taps: TAPS,
        arrivals: 'open',
        people: 'greedy',
        phones: ALL_GOOD,
        storms: [],
        warmupS: 0,
        maxBehindMs: MAX_BEHIND_MS,
        thresholds: [],
        abortOnFail: false,
        keep: false,
        command: commandLine('demo', process.argv.slice(2)),
        signal,
        progress: printProgress(process.stdout),
      });
      ok = report.ok;
      return report;
    } finally {
      await stack.stop();
    }
  } finally {
    await cleanUp(stateDir, ok || signal.aborted);
  }
}

/** Keeps the logs of a run that went wrong. */
async function cleanUp(stateDir: string, everything: boolean): Promise<void> {
  const names = everything ? [''] : (await readdir(stateDir)).filter((name) => name !== 'logs');
  for (const name of names) await rm(join(stateDir, name), { recursive: true, force: true });
  if (!everything) process.stderr.write(`demo: logs are in ${join(stateDir, 'logs')}\n`);
}
