/** Where the two stores are. Used by `config.ts` and by what needs the database alone. */
import { type Env, readCertificates, readNumber, readUrl } from './env.ts';

export interface StoresConfig {
  databaseUrl: string;
  /** Connections to Postgres that a process opens at most. */
  databasePoolSize: number;
  redisUrl: string;
  /** Certificates that TLS to Redis trusts besides the well-known ones, as PEM. */
  redisCa: string | undefined;
}

/** The pool has to leave room for more processes under a server's `max_connections`. */
const POOL_SIZE = { min: 1, max: 1000, integer: true };

/** Throws `ConfigError`. */
export function readStores(env: Env): StoresConfig {
  return {
    databaseUrl: readDatabaseUrl(env),
    databasePoolSize: readNumber(env, 'DATABASE_POOL_SIZE', 20, POOL_SIZE),
    redisUrl: readRedisUrl(env),
    redisCa: readCertificates(env, 'REDIS_CA_FILE'),
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

function readRedisUrl(env: Env): string {
  for (const part of (env.REDIS_URL ?? '').split(',')) {
    readUrl({ REDIS_URL: part }, 'REDIS_URL', ['redis:', 'rediss:'], 'redis://127.0.0.1:6379');
  }
  return env.REDIS_URL ?? '';
}
