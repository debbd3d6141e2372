/** How APNs is reached: `APNS_*`. Used by `config.ts` alone. */
import { createPrivateKey } from 'node:crypto';
import {
  ConfigError,
  type Env,
  oneOf,
  readCertificates,
  readFile,
  readText,
  readUrl,
} from './env.ts';

export interface ApnsConfig {
  /** Base URL for every device token; undefined: Apple's own, by the token's environment. */
  url: string | undefined;
  ca: string | undefined;
  defaultEnvironment: 'sandbox' | 'production';
  /** Undefined outside production: pushes are recorded as not sent (`no_credentials`). */
  credentials: { key: string; keyId: string; teamId: string } | undefined;
  driverTopic: string;
  customerTopic: string;
}

/** Throws `ConfigError` for half a set of credentials, and in production for none. */
export function readApns(env: Env, production: boolean): ApnsConfig {
  const key = readApnsKey(env);
  const keyId = readText(env, 'APNS_KEY_ID', 'ABC123DEFG');
  const teamId = readText(env, 'APNS_TEAM_ID', 'DEF123GHIJ');
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
    url: readApnsUrl(env),
    ca: readCertificates(env, 'APNS_CA_FILE'),
    defaultEnvironment,
    credentials: key && keyId && teamId ? { key, keyId, teamId } : undefined,
    driverTopic: readTopic(env, 'APNS_DRIVER_TOPIC', 'app.muster.driver'),
    customerTopic: readTopic(env, 'APNS_CUSTOMER_TOPIC', 'app.muster.customer'),
  };
}

function readTopic(env: Env, name: string, fallback: string): string {
  return readText(env, name, fallback) ?? fallback;
}

/** APNs knows its paths by itself. */
function readApnsUrl(env: Env): string | undefined {
  if (!env.APNS_URL) return undefined;
  const example = 'https://127.0.0.1:2197';
  const url = readUrl(env, 'APNS_URL', ['https:'], example);
  const { pathname, search, hash } = new URL(url);
  if (pathname === '/' && !search && !hash) return url;
  throw new ConfigError(
    `APNS_URL has a path or a query, which are not sent, e.g. APNS_URL=${example}`,
  );
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

/** Is it a key for ES256: PKCS #8, on the curve P-256? */
function isSigningKey(pem: string): boolean {
  if (!pem.includes('-----BEGIN PRIVATE KEY-----')) return false;
  try {
    return createPrivateKey(pem).asymmetricKeyDetails?.namedCurve === 'prime256v1';
  } catch {
    return false;
  }
}
