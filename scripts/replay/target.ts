/**
 * The deployment under test: where it is, whether it is ready, how tokens for it are made, and where
 * its rows can be read. Everything is tried before the run, and an error is one line.
 */
import type postgres from 'postgres';
import { connectOnce } from '../../engine/pg/one-off.ts';
import { checkoutStateDir, readSecret } from '../../engine/process/dev-secret.ts';
import { callHttp } from '../client/http.ts';
import { findRunning } from '../dev/lock.ts';
import { UsageError } from './flags.ts';
import { type TokenSpec, tokenSource } from './token-source.ts';

const DEFAULT_URL = 'http://127.0.0.1:8080';
const READY_TIMEOUT_MS = 5000;
/** How long a target may take to be ready, if it is starting or just met a slow store. */
const READY_WAIT_MS = 10_000;
const ASK_AGAIN_MS = 500;

export interface Target {
  urls: string[];
  tokens: TokenSpec;
  databaseUrl: string | undefined;
}

export interface TargetFlags {
  /** As typed; each may hold several, separated by commas. */
  urls: readonly string[];
  tokenCommand: string | undefined;
}

/**
 * Throws `UsageError` when it cannot be reached, is not ready, or takes none of our tokens, and the
 * signal's reason when it was stopped while it waited.
 */
export async function findTarget(flags: TargetFlags, signal: AbortSignal): Promise<Target> {
  const running = findRunning(checkoutStateDir);
  const typed = flags.urls.flatMap((text) => text.split(',')).map((url) => url.trim());
  const urls = typed.length > 0 ? typed.map(checkedUrl) : [running?.url ?? DEFAULT_URL];
  // A deployment elsewhere has nothing to do with the database of this checkout.
  const own = urls.length === 1 && urls[0] === running?.url ? running?.databaseUrl : undefined;
  const databaseUrl = process.env.DATABASE_URL || own;
  const tokens = tokenSpec(flags.tokenCommand);
  await Promise.all(urls.map((url) => mustBeReady(url, signal)));
  await mustTakeTokens(urls[0] as string, tokens);
  if (databaseUrl !== undefined) await mustBeReadable(databaseUrl);
  return { urls, tokens, databaseUrl };
}

function checkedUrl(url: string): string {
  const { protocol, username, password } = URL.parse(url) ?? {};
  // They would be in the reports, and a call has no room for them beside its token.
  if (username || password) throw new UsageError('--url must have no user and no password');
  if (/^https?:$/.test(protocol ?? '')) return url;
  throw new UsageError(`--url must be http or https, not '${url}'`);
}

function tokenSpec(command: string | undefined): TokenSpec {
  if (command !== undefined) return { command };
  const secret = process.env.AUTH_JWT_SECRET || readSecret(checkoutStateDir);
  if (secret) return { secret };
  throw new UsageError(
    'no secret to sign tokens: set AUTH_JWT_SECRET, give --token-cmd, or run npm start here',
  );
}

async function mustBeReady(url: string, signal: AbortSignal): Promise<void> {
  const call = { method: 'GET', path: '/readyz', timeoutMs: READY_TIMEOUT_MS } as const;
  const deadline = performance.now() + READY_WAIT_MS;
  for (;;) {
    const { status } = await callHttp(url, call).catch((error: Error) => {
      throw new UsageError(`cannot reach ${url}: ${error.message}`);
    });
    if (status === 200) return;
    signal.throwIfAborted();
    if (performance.now() > deadline) throw new UsageError(`${url} is not ready (${status})`);
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
}

/** Whether one of them answers at all, whatever the answer, tried again until the time is up. */
export async function anyAnswers(urls: readonly string[], maxMs: number): Promise<boolean> {
  const answers = await Promise.all(urls.map((url) => answersWithin(url, maxMs)));
  return answers.some((answered) => answered);
}

async function answersWithin(url: string, maxMs: number): Promise<boolean> {
  const deadline = performance.now() + maxMs;
  const call = { method: 'GET', path: '/healthz', timeoutMs: READY_TIMEOUT_MS } as const;
  for (;;) {
    if (await callHttp(url, call).catch(() => null)) return true;
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
}

async function mustTakeTokens(url: string, tokens: TokenSpec): Promise<void> {
  const token = await tokenSource(tokens)('operator', 'replay-operator');
  const call = { method: 'GET', path: '/api/jobs?limit=1', token, timeoutMs: READY_TIMEOUT_MS };
  const answer = await callHttp(url, { ...call, method: 'GET' }).catch((error: Error) => {
    throw new UsageError(`cannot reach ${url}: ${error.message}`);
  });
  if (answer.status === 200) return;
  const source = 'command' in tokens ? '--token-cmd' : 'AUTH_JWT_SECRET or .muster/secret';
  throw new UsageError(`${url} does not take our tokens (${answer.status}): is ${source} its own?`);
}

async function mustBeReadable(databaseUrl: string): Promise<void> {
  const sql = openForReading(databaseUrl);
  try {
    await sql`select id, status, driver_id from jobs limit 0`;
  } catch (error) {
    const { message, code } = error as Error & { code?: string };
    throw new UsageError(`cannot read DATABASE_URL: ${message || code}`);
  } finally {
    await sql.end({ timeout: 1 });
  }
}

function openForReading(databaseUrl: string): postgres.Sql {
  try {
    return connectOnce(databaseUrl);
  } catch (error) {
    throw new UsageError(`DATABASE_URL cannot be used: ${(error as Error).message}`);
  }
}
