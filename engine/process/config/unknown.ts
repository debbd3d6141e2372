/** Finds variables that look like ours but are not: a misspelt one would be ignored silently. */
import type { Env } from './env.ts';

/** Every variable of the contract, with an example. */
const KNOWN: Readonly<Record<string, string>> = {
  HOST: '127.0.0.1',
  PORT: '8080',
  WORKER_PORT: '8081',
  DATABASE_URL: 'postgres://user:password@127.0.0.1:5432/muster',
  DATABASE_POOL_SIZE: '20',
  REDIS_URL: 'redis://127.0.0.1:6379',
  REDIS_CA_FILE: '/run/secrets/redis-ca.pem',
  AUTH_JWT_SECRET: 'the output of: openssl rand -hex 32',
  AUTH_JWKS_URL: 'https://id.example.com/jwks.json',
  AUTH_ISSUER: 'https://id.example.com',
  AUTH_AUDIENCE: 'muster',
  APNS_URL: 'https://127.0.0.1:2197',
  APNS_CA_FILE: '/run/secrets/apns-ca.pem',
  APNS_ENVIRONMENT: 'production',
  APNS_KEY_FILE: '/run/secrets/AuthKey.p8',
  APNS_KEY: '-----BEGIN PRIVATE KEY-----…',
  APNS_KEY_ID: 'ABC123DEFG',
  APNS_TEAM_ID: 'DEF123GHIJ',
  APNS_DRIVER_TOPIC: 'app.muster.driver',
  APNS_CUSTOMER_TOPIC: 'app.muster.customer',
  DISPATCH_RADIUS_KM: '30',
  DISPATCH_WAVES: '5:20,15:20,30',
  PUSH_MAX_CANDIDATES: '500',
  DRIVER_STALE_S: '120',
  DRIVER_MAX_ACTIVE_JOBS: '1',
  JOB_DEFAULT_TTL_S: '3600',
  CLAIM_LEASE_MS: '5000',
  CUSTOMER_MAX_OPEN_JOBS: '100',
  RETENTION_DAYS: '90',
  POSITION_HISTORY_S: '60',
  SHUTDOWN_DELAY_S: '5',
  TRUSTED_PROXIES: '127.0.0.1,10.0.0.0/8',
  BASE_PATH: '/dispatch',
  OPS_TILES_URL: 'https://tiles.example.com/{z}/{x}/{y}.png',
  LOG_LEVEL: 'info',
  NODE_ENV: 'production',
};
/** Prefixes that nobody else uses in a deployment's environment. */
const OUR_PREFIXES =
  /^(APNS|AUTH_JWT|CLAIM|CUSTOMER_MAX|DISPATCH|DRIVER|JOB_DEFAULT|MUSTER|POSITION_HISTORY|PUSH_MAX|RETENTION)_/;
/** How many letters may differ; short names are too close to others. */
const NEAR = 2;
const SHORT = 6;
/** In a long name more may, as in TRUSTED_PROXY. */
const LONG = 12;
const NEAR_LONG = 3;

/** One line for each variable that is not ours but looks as if it was meant to be. */
export function warnOfUnknown(env: Env): string[] {
  return Object.keys(env).flatMap((name) => {
    if (name in KNOWN) return [];
    const nearest = nearestTo(name.toUpperCase(), env);
    if (nearest) {
      return `${name} is no variable of Muster and changes nothing, did you mean ${nearest}? e.g. ${nearest}=${KNOWN[nearest]}`;
    }
    if (!OUR_PREFIXES.test(name)) return [];
    return `${name} is no variable of Muster and changes nothing: see the table in README.md, e.g. DRIVER_STALE_S=${KNOWN.DRIVER_STALE_S}`;
  });
}

/** The variable that was probably meant; one that is set already was not, unless the names are very alike. */
function nearestTo(name: string, env: Env): string | undefined {
  const ranked = Object.keys(KNOWN)
    .filter((known) => known.length > SHORT)
    .map((known) => ({ known, distance: editDistance(name, known) }))
    .sort((a, b) => a.distance - b.distance);
  const [best] = ranked;
  if (best && best.distance <= NEAR) return best.known;
  const unset = ranked.filter(({ known }) => !env[known]);
  const alike = unset.find(({ distance }) => name.length >= LONG && distance <= NEAR_LONG);
  return (alike ?? unset.find(({ known }) => leavesOutWordsOf(known, name)))?.known;
}

/** Is it the other name, of which words in the middle or at the end were left out: REDIS_CA, JOB_TTL_S? */
function leavesOutWordsOf(known: string, name: string): boolean {
  const words = name.split('_');
  if (words.length < 2 || words[0] !== known.split('_')[0]) return false;
  let at = 0;
  for (const word of known.split('_')) if (word === words[at]) at++;
  return at === words.length;
}

/** Letters to insert, remove or replace (Levenshtein). */
function editDistance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > NEAR_LONG) return NEAR_LONG + 1;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next[j] = Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1);
    }
    row = next;
  }
  return row[b.length] as number;
}
