/** How tokens are verified: `AUTH_*`. Used by `config.ts` alone. */
import { ConfigError, type Env, hasWrapping, readText, readUrl } from './env.ts';

export interface AuthConfig {
  secret: string | undefined;
  jwksUrl: string | undefined;
  issuer: string | undefined;
  audience: string | undefined;
}

/** Contract section 2: a secret shorter than this is guessable. */
const SECRET_MIN_BYTES = 32;

/** Throws `ConfigError`. */
export function readAuth(env: Env, production: boolean): AuthConfig {
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
    issuer: readText(env, 'AUTH_ISSUER', 'https://id.example.com'),
    audience: readText(env, 'AUTH_AUDIENCE', 'muster'),
  };
}

/** Warns of a secret that was probably read from a file together with its line break: it counts as it is. */
export function warnOfSecret({ AUTH_JWT_SECRET: secret }: Env): string[] {
  if (!secret || !hasWrapping(secret)) return [];
  return [
    'AUTH_JWT_SECRET has a blank, a quote or a line break around it, which is a part of it: whoever signs tokens must use the same, e.g. the output of: openssl rand -hex 32',
  ];
}
