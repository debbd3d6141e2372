/**
 * `npm run token -- --role driver --sub d1 [--ttl 1h]`: prints a development token, and nothing
 * else on stdout. Signs with `AUTH_JWT_SECRET`, or with the one kept
 * under `.muster/`, which an api of this checkout uses as well.
 */
import { parseArgs } from 'node:util';
import { ConfigError } from '../engine/process/config.ts';
import { checkoutStateDir, ensureSecret } from '../engine/process/dev-secret.ts';
import { runProcess } from '../engine/process/main.ts';
import { mintToken, ROLES, type Role } from './dev/tokens.ts';
import { joinValues } from './join-values.ts';

const USAGE = 'npm run token -- --role driver --sub d1 [--ttl 1h]';
const UNIT_S = { s: 1, m: 60, h: 3600, d: 86_400 };
/** For anything longer a development token is the wrong one. */
const TTL_MAX_S = 30 * UNIT_S.d;

await runProcess('token', async () => {
  if (process.env.NODE_ENV === 'production') {
    throw new ConfigError('refused: NODE_ENV is production, where tokens come from the provider');
  }
  const { role, sub, ttl } = readFlags();
  const claims = { role: readRole(role), sub: readSub(sub), ttlS: readTtl(ttl) };
  const secret = process.env.AUTH_JWT_SECRET || ensureSecret(checkoutStateDir);
  process.stdout.write(`${await mintToken({ ...claims, secret })}\n`);
});

function readFlags(): { role?: string; sub?: string; ttl?: string } {
  const text = { type: 'string' } as const;
  try {
    const args = joinValues(process.argv.slice(2));
    return parseArgs({ args, options: { role: text, sub: text, ttl: text } }).values;
  } catch (error) {
    throw new ConfigError(`${(error as Error).message.split('.')[0]}, usage: ${USAGE}`);
  }
}

function readRole(value: string | undefined): Role {
  const role = ROLES.find((known) => known === value);
  if (role) return role;
  throw new ConfigError(`--role must be one of ${ROLES.join(', ')}, usage: ${USAGE}`);
}

function readSub(value: string | undefined): string {
  if (value && /^(?!me$)[A-Za-z0-9_-]{1,64}$/.test(value)) return value;
  throw new ConfigError(`--sub must be 1 to 64 of A-Z a-z 0-9 _ - and not 'me', usage: ${USAGE}`);
}

function readTtl(value = '1h'): number {
  const [, amount, unit] = /^(\d{1,9})([smhd])$/.exec(value) ?? [];
  const ttlS = Number(amount) * UNIT_S[unit as keyof typeof UNIT_S];
  if (ttlS >= 1 && ttlS <= TTL_MAX_S) return ttlS;
  throw new ConfigError(`--ttl must be like 90s, 30m, 1h or 7d, at most 30d, usage: ${USAGE}`);
}
