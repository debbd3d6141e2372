/**
 * What a stack starts by itself and what it takes from the environment, decided before anything runs:
 * a malformed variable is found while there is nothing to stop.
 */
import { type Config, ConfigError, type Env, readConfig } from '../../engine/process/config.ts';
import { withDevSecret } from '../../engine/process/dev-secret.ts';
import { whyNotFree } from './ports.ts';

export interface StackPlan {
  /** The environment of the processes, as far as it is known before servers are started. */
  env: Env;
  config: Config;
  embedPostgres: boolean;
  embedRedis: boolean;
  simulateApns: boolean;
}

const APNS_VARIABLES = [
  'APNS_URL',
  'APNS_KEY_FILE',
  'APNS_KEY',
  'APNS_KEY_ID',
  'APNS_TEAM_ID',
] as const;
/** Placeholders to check the variables with before the servers have ports. */
const LATER = { DATABASE_URL: 'postgres://127.0.0.1/later', REDIS_URL: 'redis://127.0.0.1' };

/** Throws `ConfigError`. In production nothing is made up: what is missing is an error. */
export async function planStack(given: Env, stateDir: string): Promise<StackPlan> {
  const production = given.NODE_ENV === 'production';
  const env = withDevSecret(given, stateDir);
  const embedPostgres = !production && !given.DATABASE_URL;
  const embedRedis = !production && !given.REDIS_URL;
  const config = readConfig({
    ...env,
    ...(embedPostgres ? { DATABASE_URL: LATER.DATABASE_URL } : {}),
    ...(embedRedis ? { REDIS_URL: LATER.REDIS_URL } : {}),
  });
  await mustBeFree(config.host, config.port);
  const simulateApns = !production && APNS_VARIABLES.every((name) => !given[name]);
  return { env, config, embedPostgres, embedRedis, simulateApns };
}

async function mustBeFree(host: string, port: number): Promise<void> {
  const why = await whyNotFree(host, port);
  if (why === undefined) return;
  if (why === 'EADDRINUSE') {
    throw new ConfigError(
      `PORT is ${port}, but somebody listens there on ${host} already: choose another, e.g. PORT=0 for a free one`,
    );
  }
  throw new ConfigError(`HOST is "${host}", where one cannot listen (${why}), e.g. HOST=127.0.0.1`);
}
