/**
 * Where a replay's tokens come from: signed with the deployment's secret, or printed by a command if
 * the secret is not available. Kept until shortly before they expire.
 */
import { type ExecException, exec } from 'node:child_process';
import { promisify } from 'node:util';
import { expiresAtMs } from '../client/tokens.ts';
import { mintToken } from '../dev/tokens.ts';
import { UsageError } from './flags.ts';

export type Role = 'driver' | 'customer' | 'operator';
/** Plain data: a crowd in another process makes its own tokens. */
export type TokenSpec = { secret: string } | { command: string };
export type GetToken = (role: Role, sub: string) => Promise<string>;

/** Longer than the replay of a whole day in real time. */
const TTL_S = 36 * 3600;
/** How long before expiry a token is renewed, so that none expires during a call. */
const MARGIN_MS = 10_000;
/** Each run of the command is a process: more at once would only slow each other down. */
const COMMANDS_AT_ONCE = 4;
const COMMAND_MAX_MS = 30_000;

const run = promisify(exec);

/** Throws `UsageError` when the command fails or prints no token for that user. */
export function tokenSource(spec: TokenSpec): GetToken {
  const known = new Map<string, { token: Promise<string>; goodUntil: number }>();
  const make: GetToken = 'command' in spec ? byCommand(spec.command) : signed(spec.secret);
  return async (role, sub) => {
    const key = `${role}:${sub}`;
    const kept = known.get(key);
    if (kept && kept.goodUntil > Date.now()) return kept.token;
    const entry = { token: make(role, sub), goodUntil: Number.POSITIVE_INFINITY };
    known.set(key, entry);
    try {
      const expiresAt = expiresAtMs(await entry.token);
      if (expiresAt !== undefined) entry.goodUntil = expiresAt - MARGIN_MS;
    } catch (error) {
      known.delete(key);
      throw error;
    }
    return entry.token;
  };
}

function signed(secret: string): GetToken {
  return (role, sub) => mintToken({ role, sub, ttlS: TTL_S, secret });
}

/** `{role}` and `{sub}` in the command, and `ROLE` and `SUB` in its environment, name the user. */
function byCommand(command: string): GetToken {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (role, sub) => {
    if (running >= COMMANDS_AT_ONCE) await new Promise<void>((resolve) => waiting.push(resolve));
    running += 1;
    try {
      return await runCommand(command, role, sub);
    } finally {
      running -= 1;
      waiting.shift()?.();
    }
  };
}

async function runCommand(command: string, role: Role, sub: string): Promise<string> {
  const filled = command.replaceAll('{role}', role).replaceAll('{sub}', sub);
  const env = { ...process.env, ROLE: role, SUB: sub };
  const { stdout } = await run(filled, { env, timeout: COMMAND_MAX_MS }).catch((error) => {
    throw new UsageError(`--token-cmd failed for ${role} ${sub}: ${whyFailed(error)}`);
  });
  const token = stdout.trim();
  const claims = claimsOf(token);
  if (claims?.sub === sub && claims.role === role) return token;
  const got = claims ? `one for ${claims.role} ${claims.sub}` : 'something that is no token';
  throw new UsageError(`--token-cmd printed ${got}, not a token for ${role} ${sub}`);
}

/** The error's own message repeats the command, which may hold a secret. */
function whyFailed({ stderr, killed, code }: ExecException): string {
  const said = stderr?.trim().split('\n').at(-1);
  return said || (killed ? `no end within ${COMMAND_MAX_MS / 1000} s` : `exit code ${code}`);
}

function claimsOf(token: string): { sub?: unknown; role?: unknown } | undefined {
  try {
    return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());
  } catch {
    return undefined;
  }
}
