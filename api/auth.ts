/**
 * Who is calling: verifies bearer tokens against the shared secret or an identity provider.
 * A verified token is remembered until it expires, because checking a signature costs twice a whole
 * request; its expiry is compared on every use, without leeway. Used by HTTP, the feed and /ops.
 */
import { hash } from 'node:crypto';
import {
  createRemoteJWKSet,
  errors,
  type JWTPayload,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose';
import { TryAgainError } from '../engine/context.ts';
import type { AuthConfig } from '../engine/process/config.ts';

export const ROLES = ['driver', 'customer', 'operator', 'service'] as const;
export type Role = (typeof ROLES)[number];

export interface Identity {
  sub: string;
  role: Role;
  /** Epoch ms. */
  expiresAt: number;
}

export interface Auth {
  /**
   * Throws `UnauthorizedError`, whose message may be shown, or `TryAgainError` when the identity
   * provider does not answer.
   */
  verify(token: string): Promise<Identity>;
}

/** The token is missing or not valid; the message says why and contains nothing of it. */
export class UnauthorizedError extends Error {
  override name = 'UnauthorizedError';
}

/** What a user id may be (contract section 3). */
export const USER_ID = /^[A-Za-z0-9_-]{1,64}$/;

/** About 20 MB; the oldest is forgotten and simply verified again. */
const REMEMBERED_MAX = 50_000;
/** Signatures of an identity provider; never HS*, whose secret would be its public key. */
const JWKS_ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA'],
];

/** Verifies with the JWKS when one is configured, else with the secret (HS256). */
export function createAuth(config: AuthConfig): Auth {
  const check = config.jwksUrl ? checkByJwks(config.jwksUrl) : checkBySecret(config.secret);
  const options: JWTVerifyOptions = {
    requiredClaims: ['sub', 'exp'],
    clockTolerance: 0,
    ...(config.issuer !== undefined && { issuer: config.issuer }),
    ...(config.audience !== undefined && { audience: config.audience }),
  };
  const remembered = new Map<string, Identity>();
  return {
    async verify(token) {
      const key = hash('sha256', token, 'base64');
      const known = remembered.get(key);
      if (known) {
        if (Date.now() < known.expiresAt) return known;
        remembered.delete(key);
        throw new UnauthorizedError('The token has expired');
      }
      const identity = toIdentity(await check(token, options).catch(explain));
      if (remembered.size >= REMEMBERED_MAX) forgetOldest(remembered);
      remembered.set(key, identity);
      return identity;
    },
  };
}

/** The token of an `Authorization` header, or null when it carries none. */
export function bearer(header: string | undefined): string | null {
  return /^Bearer +([A-Za-z0-9._~+/=-]+) *$/i.exec(header ?? '')?.[1] ?? null;
}

type Check = (token: string, options: JWTVerifyOptions) => Promise<JWTPayload>;

function checkBySecret(secret: string | undefined): Check {
  if (secret === undefined) throw new Error('neither a secret nor a JWKS to verify tokens with');
  const key = new TextEncoder().encode(secret);
  return async (token, options) =>
    (await jwtVerify(token, key, { ...options, algorithms: ['HS256'] })).payload;
}

function checkByJwks(url: string): Check {
  const keys = createRemoteJWKSet(new URL(url));
  return async (token, options) =>
    (await jwtVerify(token, keys, { ...options, algorithms: JWKS_ALGORITHMS })).payload;
}

function toIdentity({ sub, exp, role }: JWTPayload): Identity {
  if (typeof sub !== 'string' || !USER_ID.test(sub)) {
    throw new UnauthorizedError('The token names no valid user');
  }
  const known = ROLES.find((name) => name === role);
  if (!known) throw new UnauthorizedError('The token names no known role');
  const expiresAt = (exp ?? 0) * 1000;
  if (Date.now() >= expiresAt) throw new UnauthorizedError('The token has expired');
  return { sub, role: known, expiresAt };
}

/** What jose says of a token becomes a safe sentence; a provider that is away is no fault of it. */
function explain(error: unknown): never {
  if (error instanceof errors.JWTExpired) throw new UnauthorizedError('The token has expired');
  if (isProviderAway(error)) throw new TryAgainError('the identity provider does not answer');
  throw new UnauthorizedError('A valid token is needed');
}

/** Not reached, too slow, or no key set in its answer. */
function isProviderAway(error: unknown): boolean {
  if (error instanceof errors.JOSEError) {
    return ['ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID', 'ERR_JOSE_GENERIC'].includes(error.code);
  }
  return error instanceof TypeError && error.message === 'fetch failed';
}

function forgetOldest(remembered: Map<string, Identity>): void {
  const [oldest] = remembered.keys();
  if (oldest !== undefined) remembered.delete(oldest);
}
