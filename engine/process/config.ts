/**
 * The configuration of every process, read once from the environment.
 * A malformed variable stops the start with one line that names it, what is wrong and an example.
 * Called by the entries of api, workers and scripts; nothing in the engine reads `process.env`.
 */
import { type ApnsConfig, readApns } from './config/apns.ts';
import { type AuthConfig, readAuth, warnOfSecret } from './config/auth.ts';
import { type DispatchConfig, readDispatch } from './config/dispatch.ts';
import { type Env, oneOf } from './config/env.ts';
import { readStores, type StoresConfig, warnOfIgnored } from './config/stores.ts';
import { warnOfUnknown } from './config/unknown.ts';
import { readWeb, type WebConfig } from './config/web.ts';

export type { ApnsConfig } from './config/apns.ts';
export type { AuthConfig } from './config/auth.ts';
export { type DispatchConfig, RADIUS_KM_MAX } from './config/dispatch.ts';
export { ConfigError, type Env } from './config/env.ts';
export { readDatabaseUrl } from './config/stores.ts';

export interface Config extends StoresConfig, WebConfig {
  production: boolean;
  logLevel: string;
  auth: AuthConfig;
  apns: ApnsConfig;
  dispatch: DispatchConfig;
  /** Problems that do not keep a process from working, one line each, for its log. */
  warnings: readonly string[];
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'];

/** Reads and validates everything an api or worker process needs. Throws `ConfigError`. */
export function readConfig(env: Env): Config {
  const production = readProduction(env);
  return {
    production,
    logLevel: oneOf(env, 'LOG_LEVEL', LOG_LEVELS, 'info'),
    ...readWeb(env, production),
    ...readStores(env),
    auth: readAuth(env, production),
    apns: readApns(env, production),
    dispatch: readDispatch(env),
    warnings: [...warnOfUnknown(env), ...warnOfIgnored(env), ...warnOfSecret(env)],
  };
}

/** A mistyped mode must not count as development, with its conveniences. */
function readProduction(env: Env): boolean {
  const modes = ['production', 'development', 'test'];
  return oneOf(env, 'NODE_ENV', modes, 'development') === 'production';
}
