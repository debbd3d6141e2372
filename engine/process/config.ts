/**
 * The configuration of every process, read once from the environment.
 * A malformed variable stops the start with one line that names it, what is wrong and an example.
 * Called by the process entries (api, workers, scripts); nothing else reads `process.env`.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseWavePlan, type WaveStep } from '../domain/waves.ts';

export interface ApnsConfig {
  /** Base URL that serves every device token, or undefined: chosen by the token's environment. */
  url: string | undefined;
  ca: string | undefined;
  defaultEnvironment: 'sandbox' | 'production';
  /** Undefined outside production: pushes are recorded as not sent (`no_credentials`). */
  credentials: { key: string; keyId: string; teamId: string } | undefined;
  driverTopic: string;
  customerTopic: string;
}

export interface AuthConfig {
  secret: string | undefined;
  jwksUrl: string | undefined;
  issuer: string | undefined;
  audience: string | undefined;
}

export interface DispatchConfig {
  waves: readonly WaveStep[];
  radiusKm: number;
  pushMaxCandidates: number;
  driverStaleMs: number;
  driverMaxActiveJobs: number;
  jobDefaultTtlS: number;
  claimLeaseMs: number;
  /** How often a moving, available driver's position is kept; 0: not at all. */
  positionHistoryS: number;
}

export interface Config {
  production: boolean;
  logLevel: string;
  host: string;
  port: number;
  workerPort: number | undefined;
  databaseUrl: string;
  redisUrl: string;
  auth: AuthConfig;
  apns: ApnsConfig;
  dispatch: DispatchConfig;
}

export type Env = Readonly<Record<string, string | undefined>>;

/** A start-up error whose message is one line for the person who starts the process. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];
/** Contract section 2: a secret shorter than this is guessable. */
const SECRET_MIN_BYTES = 32;
/** Contract section 2: `gridDisk` 1 covers a circle of at most this radius. */
export const RADIUS_KM_MAX = 50;

/** Reads and validates everything an api or worker process needs. Throws `ConfigError`. */
export function readConfig(env: Env): Config {
  const production = readProduction(env);
  const radiusKm = readNumber(env, 'DISPATCH_RADIUS_KM', 30, { min: 0.1, max: RADIUS_KM_MAX });
  return {
    production,
    logLevel: oneOf(env, 'LOG_LEVEL', LOG_LEVELS, 'info'),
    host: env.HOST || '127.0.0.1',
    port: readNumber(env, 'PORT', 8080, { min: 0, max: 65_535, integer: true }),
    workerPort: env.WORKER_PORT
      ? readNumber(env, 'WORKER_PORT', 0, { min: 0, max: 65_535, integer: true })
      : undefined,
    databaseUrl: readDatabaseUrl(env),
    redisUrl: readUrl(env, 'REDIS_URL', ['redis:', 'rediss:'], 'redis://127.0.0.1:6379'),
    auth: readAuth(env, production),
    apns: readApns(env, production),
    dispatch: {
      radiusKm,
      waves: readWaves(env, radiusKm),
      pushMaxCandidates: readNumber(env, 'PUSH_MAX_CANDIDATES', 500, {
        min: 0,
        max: 10_000,
        integer: true,
      }),
      driverStaleMs: 1000 * readNumber(env, 'DRIVER_STALE_S', 120, { min: 1, max: 86_400 }),
      driverMaxActiveJobs: readNumber(env, 'DRIVER_MAX_ACTIVE_JOBS', 0, {
        min: 0,
        max: 1000,
        integer: true,
      }),
      jobDefaultTtlS: readNumber(env, 'JOB_DEFAULT_TTL_S', 0, { min: 0, max: 30 * 86_400 }),
      claimLeaseMs: readNumber(env, 'CLAIM_LEASE_MS', 5000, {
        min: 100,
        max: 60_000,
        integer: true,
      }),
      positionHistoryS: readNumber(env, 'POSITION_HISTORY_S', 60, { min: 0, max: 86_400 }),
    },
  };
}

/** `DATABASE_URL` alone: what `npm run migrate` needs. Throws `ConfigError`. */
export function readDatabaseUrl(env: Env): string {
  return readUrl(
    env,
    'DATABASE_URL',
    ['postgres:', 'postgresql:'],
    'postgres://user:password@127.0.0.1:5432/muster',
  );
}

/** A mistyped one must not pass for development, with its conveniences. */
function readProduction(env: Env): boolean {
  const modes = ['production', 'development', 'test'];
  return oneOf(env, 'NODE_ENV', modes, 'development') === 'production';
}

function readAuth(env: Env, production: boolean): AuthConfig {
  const secret = env.AUTH_JWT_SECRET || undefined;
  const jwksUrl = env.AUTH_JWKS_URL || undefined;
  if (secret !== undefined && Buffer.byteLength(secret) < SECRET_MIN_BYTES) {
    throw new ConfigError(
      `AUTH_JWT_SECRET is ${Buffer.byteLength(secret)} bytes long, at least ${SECRET_MIN_BYTES} are needed, e.g. the output of: openssl rand -hex 32`,
    );
  }
  if (jwksUrl !== undefined) {
    readUrl(env, 'AUTH_JWKS_URL', ['https:', 'http:'], 'https://id.example.com/jwks.json');
  }
  // Outside production the api makes one up (`withDevSecret`), and workers verify no tokens.
  if (!secret && !jwksUrl && production) {
    throw new ConfigError(
      'AUTH_JWT_SECRET is not set (required with NODE_ENV=production): set it, e.g. to the output of: openssl rand -hex 32, or set AUTH_JWKS_URL',
    );
  }
  return {
    secret,
    jwksUrl,
    issuer: env.AUTH_ISSUER || undefined,
    audience: env.AUTH_AUDIENCE || undefined,
  };
}

function readApns(env: Env, production: boolean): ApnsConfig {
  const key = readApnsKey(env);
  const keyId = env.APNS_KEY_ID || undefined;
  const teamId = env.APNS_TEAM_ID || undefined;
  const parts = { 'APNS_KEY_FILE or APNS_KEY': key, APNS_KEY_ID: keyId, APNS_TEAM_ID: teamId };
  const missing = Object.entries(parts).flatMap(([name, value]) => (value ? [] : [name]));
  if (missing.length > 0 && (production || missing.length < 3)) {
    throw new ConfigError(
      `${missing.join(', ')} ${missing.length > 1 ? 'are' : 'is'} not set: APNs needs the .p8 key, its 10-character id and the team id, e.g. APNS_KEY_FILE=/run/secrets/AuthKey.p8 APNS_KEY_ID=ABC123DEFG APNS_TEAM_ID=DEF123GHIJ`,
    );
  }
  const defaultEnvironment = oneOf(
    env,
    'APNS_ENVIRONMENT',
    ['sandbox', 'production'],
    production ? 'production' : 'sandbox',
  ) as 'sandbox' | 'production';
  return {
    url: env.APNS_URL ? readUrl(env, 'APNS_URL', ['https:'], 'https://127.0.0.1:2197') : undefined,
    ca: env.APNS_CA_FILE ? readCa(env.APNS_CA_FILE) : undefined,
    defaultEnvironment,
    credentials: key && keyId && teamId ? { key, keyId, teamId } : undefined,
    driverTopic: env.APNS_DRIVER_TOPIC || 'app.muster.driver',
    customerTopic: env.APNS_CUSTOMER_TOPIC || 'app.muster.customer',
  };
}

function readApnsKey(env: Env): string | undefined {
  const key = env.APNS_KEY_FILE ? readFile('APNS_KEY_FILE', env.APNS_KEY_FILE) : env.APNS_KEY;
  if (!key) return undefined;
  const name = env.APNS_KEY_FILE ? 'APNS_KEY_FILE' : 'APNS_KEY';
  const pem = key.replaceAll('\\n', '\n');
  if (!isSigningKey(pem)) {
    throw new ConfigError(
      `${name} holds no PEM private key of the curve P-256: expected the .p8 file from Apple, e.g. a text that begins with -----BEGIN PRIVATE KEY-----`,
    );
  }
  return pem;
}

/** What ES256 signs with: PKCS #8, on the curve P-256. */
function isSigningKey(pem: string): boolean {
  if (!pem.includes('-----BEGIN PRIVATE KEY-----')) return false;
  try {
    return createPrivateKey(pem).asymmetricKeyDetails?.namedCurve === 'prime256v1';
  } catch {
    return false;
  }
}

function readCa(file: string): string {
  const text = readFile('APNS_CA_FILE', file);
  try {
    new X509Certificate(text);
    return text;
  } catch {
    throw new ConfigError(
      `APNS_CA_FILE names ${file}, which holds no PEM certificate, e.g. a text that begins with -----BEGIN CERTIFICATE-----`,
    );
  }
}

function readFile(name: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new ConfigError(
      `${name} names ${file}, which cannot be read (${code}), e.g. ${name}=/run/secrets/${name.toLowerCase()}`,
    );
  }
}

function readWaves(env: Env, radiusKm: number): readonly WaveStep[] {
  try {
    return parseWavePlan(env.DISPATCH_WAVES || undefined, radiusKm, RADIUS_KM_MAX);
  } catch (error) {
    throw new ConfigError(
      `DISPATCH_WAVES ${(error as Error).message}, e.g. DISPATCH_WAVES=5:20,15:20,30`,
    );
  }
}

function readUrl(env: Env, name: string, protocols: readonly string[], example: string): string {
  const value = env[name];
  if (!value) throw new ConfigError(`${name} is not set, e.g. ${name}=${example}`);
  for (const part of value.split(',')) {
    if (!URL.canParse(part) || !protocols.includes(new URL(part).protocol)) {
      throw new ConfigError(
        `${name} is not a ${protocols.map((p) => `${p}//`).join(' or ')} URL, e.g. ${name}=${example}`,
      );
    }
  }
  return value;
}

function oneOf(env: Env, name: string, allowed: readonly string[], fallback: string): string {
  const value = env[name] || fallback;
  if (!allowed.includes(value)) {
    throw new ConfigError(
      `${name} is "${value}", allowed are ${allowed.join(', ')}, e.g. ${name}=${fallback}`,
    );
  }
  return value;
}

function readNumber(
  env: Env,
  name: string,
  fallback: number,
  rule: { min: number; max: number; integer?: boolean },
): number {
  const text = env[name];
  if (text === undefined || text === '') return fallback;
  const value = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  const whole = !rule.integer || Number.isInteger(value);
  if (!(value >= rule.min && value <= rule.max && whole)) {
    throw new ConfigError(
      `${name} is "${text}", expected a${rule.integer ? ' whole' : ''} number from ${rule.min} to ${rule.max}, e.g. ${name}=${fallback}`,
    );
  }
  return value;
}
