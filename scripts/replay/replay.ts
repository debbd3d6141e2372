/**
 * `npm run replay`: plays a burst trace against a running deployment and judges it. Exit code 0
 * when all invariants hold, 1 when one is broken, 2 when it could not be run.
 */

import { checkoutStateDir, readSecret } from '../../engine/process/dev-secret.ts';
import { callHttp } from '../client/http.ts';
import { findRunning } from '../dev/lock.ts';
import { mintToken } from '../dev/tokens.ts';
import { CallError, type Sign } from './caller.ts';
import { numberFlag, readFlags, UsageError } from './flags.ts';
import { printProgress, stopSignal, writeHtml, writeJson } from './outputs.ts';
import { type ReplayOptions, runReplay } from './run.ts';
import { formatReport } from './table.ts';
import { fileTrace, TraceError } from './trace.ts';

const HELP = `npm run replay -- --trace FILE [options]

Plays a burst trace with simulated drivers and customers on real sockets, then checks what happened.

  --trace FILE   JSON Lines sorted by time, gzip allowed
  --url URL      the deployment, several with commas (default: npm start of this checkout,
                 else http://127.0.0.1:8080)
  --speed N      N times real time (default 60)
  --taps N       at most N drivers tap each job (default 5)
  --seed N       whom chance picks (default 1)
  --json FILE    write the result as JSON
  --html FILE    write a report page

Tokens are signed with AUTH_JWT_SECRET, or with the secret that npm start keeps in .muster/. The
rows in Postgres are compared too where DATABASE_URL is set or npm start runs here. The phones are
made up: use it with the APNs simulator.`;

const DEFAULT_URL = 'http://127.0.0.1:8080';
/** Longer than the replay of a whole day in real time. */
const TOKEN_TTL_S = 36 * 3600;
const READY_TIMEOUT_MS = 5000;

// A socket that somebody forgot must not keep a finished run alive.
process.exit(await main());

async function main(): Promise<number> {
  try {
    return await replay(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${explain(error)}\n`);
    return 2;
  }
}

async function replay(argv: readonly string[]): Promise<number> {
  const names = ['trace', 'url', 'speed', 'taps', 'seed', 'json', 'html'];
  const { help, values } = readFlags(argv, names);
  if (help) {
    process.stdout.write(`${HELP}\n`);
    return 0;
  }
  const trace = values.get('trace');
  if (trace === undefined) throw new UsageError('--trace FILE is missing (see --help)');
  const running = findRunning(checkoutStateDir);
  const url = values.get('url') ?? running?.url ?? DEFAULT_URL;
  // A deployment elsewhere has nothing to do with the database of this checkout.
  const databaseUrl = url === running?.url ? running.databaseUrl : undefined;
  const options: ReplayOptions = {
    source: fileTrace(trace),
    urls: urlsOf(url),
    speed: numberFlag(values, 'speed', 60, { min: 0.1, max: 10_000, whole: false }),
    taps: numberFlag(values, 'taps', 5, { min: 1, max: 1000, whole: true }),
    seed: numberFlag(values, 'seed', 1, { min: 0, max: 2 ** 32 - 1, whole: true }),
    sign: signer(),
    databaseUrl: process.env.DATABASE_URL ?? databaseUrl,
    signal: stopSignal(),
    ...printProgress(process.stdout),
  };
  await Promise.all(options.urls.map(mustBeReady));
  const report = await runReplay(options);
  process.stdout.write(formatReport(report));
  const [json, html] = [values.get('json'), values.get('html')];
  if (json !== undefined) await writeJson(json, report);
  if (html !== undefined) await writeHtml(html, report);
  return report.ok ? 0 : 1;
}

function urlsOf(text: string): string[] {
  return text.split(',').map((url) => {
    if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return url;
    throw new UsageError(`--url must be http or https, not '${url}'`);
  });
}

function signer(): Sign {
  const secret = process.env.AUTH_JWT_SECRET || readSecret(checkoutStateDir);
  if (!secret) {
    throw new UsageError('no secret to sign tokens: set AUTH_JWT_SECRET, or run npm start here');
  }
  return (role, sub) => mintToken({ role, sub, ttlS: TOKEN_TTL_S, secret });
}

async function mustBeReady(url: string): Promise<void> {
  const call = { method: 'GET', path: '/readyz', timeoutMs: READY_TIMEOUT_MS } as const;
  const answer = await callHttp(url, call).catch((error: Error) => {
    throw new UsageError(`cannot reach ${url}: ${error.message}`);
  });
  if (answer.status !== 200) throw new UsageError(`${url} is not ready (${answer.status})`);
}

/** What a person can act on is one line; anything else is a fault of ours and keeps its stack. */
function explain(error: unknown): string {
  const known = [UsageError, TraceError, CallError].some((kind) => error instanceof kind);
  if (!(error instanceof Error)) return String(error);
  return known || error.message === 'stopped' ? `replay: ${error.message}` : `${error.stack}`;
}
