/**
 * The secret that signs tokens outside production when none is configured: made once, kept under
 * `.muster/`. The api and the scripts that mint tokens use the same one. In production it must be
 * configured.
 */
import { randomBytes } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError, type Env } from './config.ts';

/** The folder that survives between two starts of a checkout. */
export const checkoutStateDir = fileURLToPath(new URL('../../.muster', import.meta.url));

/** The environment with a secret: the configured one, or outside production the kept one. */
export function withDevSecret(env: Env, stateDir: string): Env {
  const configured = env.AUTH_JWT_SECRET || env.AUTH_JWKS_URL;
  if (configured || env.NODE_ENV === 'production') return env;
  return { ...env, AUTH_JWT_SECRET: ensureSecret(stateDir) };
}

/** The secret that was left in the state folder; undefined before the first start. */
export function readSecret(stateDir: string): string | undefined {
  try {
    return readFileSync(secretFile(stateDir), 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}

/** The same, created when it is missing; only the owner may read it. Throws `ConfigError`. */
export function ensureSecret(stateDir: string): string {
  const kept = readSecret(stateDir);
  if (kept) return kept;
  try {
    writeOnce(stateDir);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EEXIST') throw unusable(stateDir, `cannot be written (${code})`);
  }
  const secret = readSecret(stateDir);
  if (secret) return secret;
  throw unusable(stateDir, 'is empty or cannot be read');
}

/** Of processes that start at once only one wins: linking to a finished file fails for the others. */
function writeOnce(stateDir: string): void {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const draft = `${secretFile(stateDir)}.${process.pid}`;
  writeFileSync(draft, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600 });
  try {
    linkSync(draft, secretFile(stateDir));
  } finally {
    rmSync(draft);
  }
}

function unusable(stateDir: string, why: string): ConfigError {
  return new ConfigError(
    `AUTH_JWT_SECRET is not set, and ${secretFile(stateDir)}, where one is kept in development, ${why}: set it, e.g. to the output of: openssl rand -hex 32`,
  );
}

function secretFile(stateDir: string): string {
  return path.join(stateDir, 'secret');
}
