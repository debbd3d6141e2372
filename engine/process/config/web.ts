/** Where a process listens, and behind which proxies. Used by `config.ts` alone. */
import { BlockList, isIP } from 'node:net';
import { ConfigError, type Env, readNumber, readText } from './env.ts';

export interface WebConfig {
  host: string;
  port: number;
  workerPort: number | undefined;
  /** Addresses and subnets (`10.0.0.0/8`) whose `X-Forwarded-*` count. */
  trustedProxies: readonly string[];
  /** The path under which a proxy serves everything: empty, or like `/dispatch`. */
  basePath: string;
  /** Raster tiles under the console's map, with `{z}`, `{x}` and `{y}`. */
  opsTilesUrl: string | undefined;
  /** How long a process that was told to stop goes on serving before it drains. */
  shutdownDelayMs: number;
}

const PORT = { min: 0, max: 65_535, integer: true };
/** Contract section 2; in development there is no balancer that must notice. */
const SHUTDOWN_DELAY_S = 5;

/** Throws `ConfigError`. */
export function readWeb(env: Env, production: boolean): WebConfig {
  const delayS = production ? SHUTDOWN_DELAY_S : 0;
  return {
    host: readText(env, 'HOST', '127.0.0.1') ?? '127.0.0.1',
    port: readNumber(env, 'PORT', 8080, PORT),
    workerPort: env.WORKER_PORT ? readNumber(env, 'WORKER_PORT', 0, PORT) : undefined,
    trustedProxies: readProxies(env),
    basePath: readBasePath(env),
    opsTilesUrl: readTilesUrl(env),
    shutdownDelayMs: 1000 * readNumber(env, 'SHUTDOWN_DELAY_S', delayS, { min: 0, max: 600 }),
  };
}

function readProxies(env: Env): readonly string[] {
  const proxies = (env.TRUSTED_PROXIES ?? '').split(',').map((part) => part.trim());
  const named = proxies.filter((part) => part !== '');
  const wrong = named.find((proxy) => !isSubnet(proxy));
  if (wrong !== undefined) {
    throw new ConfigError(
      `TRUSTED_PROXIES has "${wrong}", which is neither an address nor a subnet, e.g. TRUSTED_PROXIES=127.0.0.1,10.0.0.0/8`,
    );
  }
  return named;
}

function isSubnet(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  if (bits === undefined) return true;
  try {
    new BlockList().addSubnet(address, Number(bits || Number.NaN), family === 4 ? 'ipv4' : 'ipv6');
    return true;
  } catch {
    return false;
  }
}

function readBasePath(env: Env): string {
  const given = env.BASE_PATH || '/';
  if (!/^\/([\w.~-]+\/)*([\w.~-]+)?$/.test(given) || /\/\.{1,2}(\/|$)/.test(given)) {
    throw new ConfigError(
      `BASE_PATH is "${given}", expected a path of letters, digits, "-", "_", "." and "~" that begins with a slash, e.g. BASE_PATH=/dispatch`,
    );
  }
  return given.replace(/\/$/, '');
}

function readTilesUrl(env: Env): string | undefined {
  const url = env.OPS_TILES_URL;
  if (!url) return undefined;
  const complete = ['{z}', '{x}', '{y}'].every((part) => url.includes(part));
  if (!/^https?:\/\//.test(url) || !URL.canParse(url) || !complete) {
    throw new ConfigError(
      'OPS_TILES_URL is not the URL of raster tiles with {z}, {x} and {y}, e.g. OPS_TILES_URL=https://tiles.example.com/{z}/{x}/{y}.png',
    );
  }
  return url;
}
