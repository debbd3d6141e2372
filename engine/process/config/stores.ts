/** Where the two stores are. Used by `config.ts` and by what needs the database alone. */
import { parsePgUrl } from '../../pg/address.ts';
import { parseRedisUrl } from '../../redis/address.ts';
import type { RedisTarget } from '../../redis/client.ts';
import { ConfigError, type Env, readCertificates, readNumber } from './env.ts';

export interface StoresConfig {
  databaseUrl: string;
  /** Connections to Postgres that a process opens at most. */
  databasePoolSize: number;
  redisUrl: string;
  /** The same with the CA that TLS trusts: the target of connections. */
  redis: RedisTarget;
}

/** A pool must leave room for other processes under the server's `max_connections`. */
const POOL_SIZE = { min: 1, max: 1000, integer: true };

/** Throws `ConfigError`. */
export function readStores(env: Env): StoresConfig {
  const redisUrl = readRedisUrl(env);
  return {
    databaseUrl: readDatabaseUrl(env),
    databasePoolSize: readNumber(env, 'DATABASE_POOL_SIZE', 20, POOL_SIZE),
    redisUrl,
    redis: { url: redisUrl, ca: readCertificates(env, 'REDIS_CA_FILE') },
  };
}

/** `DATABASE_URL` alone: what `npm run migrate` needs. Throws `ConfigError`. */
export function readDatabaseUrl(env: Env): string {
  const example = 'DATABASE_URL=postgres://user:password@127.0.0.1:5432/muster';
  const url = env.DATABASE_URL;
  if (!url) throw new ConfigError(`DATABASE_URL is not set, e.g. ${example}`);
  try {
    parsePgUrl(url);
  } catch (error) {
    throw new ConfigError(`DATABASE_URL ${(error as Error).message}, e.g. ${example}`);
  }
  return url;
}

/** Warns of parameters in `DATABASE_URL` that are for other clients. */
export function warnOfIgnored(env: Env): string[] {
  const { ignored } = parsePgUrl(readDatabaseUrl(env));
  if (ignored.length === 0) return [];
  return [
    `DATABASE_URL has parameters that change nothing here (${ignored.join(', ')}), e.g. sslmode=verify-full is understood`,
  ];
}

function readRedisUrl(env: Env): string {
  const example = 'REDIS_URL=redis://127.0.0.1:6379';
  const url = env.REDIS_URL;
  if (!url) throw new ConfigError(`REDIS_URL is not set, e.g. ${example}`);
  try {
    parseRedisUrl(url);
  } catch (error) {
    throw new ConfigError(`REDIS_URL ${(error as Error).message}, e.g. ${example}`);
  }
  return url;
}
