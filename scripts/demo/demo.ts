/**
 * `npm run demo`: starts the whole stack in a folder of its own, two API processes side by side,
 * and replays an evening of a made-up city against it. Exit code 0 only when all invariants hold, 1
 * when one is broken, 2 when it could not be run. Everything it started is stopped.
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { checkoutStateDir } from '../../engine/process/dev-secret.ts';
import { temporaryDir } from '../dev/places.ts';
import { startStack } from '../dev/stack.ts';
import { mintToken } from '../dev/tokens.ts';
import { numberFlag, readFlags, UsageError } from '../replay/flags.ts';
import { printProgress, stopSignal, writeHtml } from '../replay/outputs.ts';
import type { Report } from '../replay/report.ts';
import { runReplay } from '../replay/run.ts';
import { formatReport } from '../replay/table.ts';
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
const TOKEN_TTL_S = 3600;
/** Made-up drivers belong into no real database, made-up phones to no real APNs. */
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

// A socket that somebody forgot must not keep a finished run alive.
process.exit(await main());

async function main(): Promise<number> {
  try {
    return await demo(process.argv.slice(2));
  } catch (error) {
    const { message, stack } = error as Error;
    const plain = error instanceof UsageError || message === 'stopped';
    process.stderr.write(`${plain ? `demo: ${message}` : stack}\n`);
    return 2;
  }
}

async function demo(argv: readonly string[]): Promise<number> {
  const { help, values } = readFlags(argv, ['jobs', 'drivers', 'seed', 'html']);
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
  const report = await playCity(city, stopSignal());
  await writeHtml(html, report);
  process.stdout.write(`${formatReport(report)}\nreport: ${html}\n`);
  return report.ok ? 0 : 1;
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
      const report = await runReplay({
        source: makeCity(city),
        urls,
        sign: (role, sub) => mintToken({ role, sub, ttlS: TOKEN_TTL_S, secret }),
        speed: SPEED,
        taps: TAPS,
        seed: city.seed,
        databaseUrl,
        signal,
        ...printProgress(process.stdout),
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

/** Of a run that went wrong the logs stay. */
async function cleanUp(stateDir: string, everything: boolean): Promise<void> {
  const names = everything ? [''] : (await readdir(stateDir)).filter((name) => name !== 'logs');
  for (const name of names) await rm(join(stateDir, name), { recursive: true, force: true });
  if (!everything) process.stderr.write(`demo: logs are in ${join(stateDir, 'logs')}\n`);
}
