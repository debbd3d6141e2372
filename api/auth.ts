/**
 * Who is calling: verifies bearer tokens against the shared secret or an identity provider.
 * A verified token is remembered until it expires, because checking a signature costs twice as much as
 * a request; its expiry is checked on every use, without leeway. Used by HTTP, the feed and /ops.
 */
import { hash } from 'node:crypto';
import { errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose';
import { TryAgainError } from '../engine/domain/try-again.ts';
import type { AuthConfig } from '../engine/process/config.ts';
import { KeySet } from './key-set.ts';

export const ROLES = ['driver', 'customer', 'operator', 'service', 'viewer'] as const;
export type Role = (typeof ROLES)[number];
/** The roles that read what operators read; a viewer changes nothing. */
export const READERS = ['operator', 'viewer'] as const satisfies readonly Role[];

/** Does this role see every job and driver? */
export const readsAll = (role: Role): boolean => role === 'operator' || role === 'viewer';

export interface Identity {
  sub: string;
  role: Role;
  /** Epoch ms. */
  expiresAt: number;
  /** The provider's key that signed the token; none with a secret, which does not change. */
  keyId?: string;
}

export interface Auth {
  /**
   * Throws `UnauthorizedError`, whose message may be shown, or `TryAgainError` when the identity
   * provider has not said yet whether the token's key is one of its own.
   */
  verify(token: string): Promise<Identity>;
  /** Is the key of an identity still valid, as far as this process knows? */
  isCurrent(identity: Identity): boolean;
}

/** The token is missing or not valid; the message says why and contains nothing of it. */
export class UnauthorizedError extends Error {
  override name = 'UnauthorizedError';
}

/** What a user id may be (contract section 3); in paths `me` means the caller. */
export const USER_ID = /^(?!me$)[A-Za-z0-9_-]{1,64}$/;

/** About 20 MB; the oldest is dropped and verified again when it comes. */
const REMEMBERED_MAX = 50_000;
/** Algorithms of an identity provider; never HS*, where its public key would be the secret. */
const JWKS_ALGORITHMS = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA'],
];

/** Contract section 3: clocks differ a little; for expiry there is no leeway (`toIdentity`). */
const LEEWAY_S = 5;

/**
 * Verifies with the JWKS when one is configured, else with the secret (HS256). `clock`: a monotonic
 * clock, ms, by which keys age; tests pass their own.
 */
export function createAuth(config: AuthConfig, clock?: () => number): Auth {
  const keys = config.jwksUrl ? new KeySet(config.jwksUrl, clock) : null;
  const check = keys ? checkByKeys(keys) : checkBySecret(config.secret);
  const options: JWTVerifyOptions = {
    requiredClaims: ['sub', 'exp'],
    clockTolerance: LEEWAY_S,
    ...(config.issuer !== undefined && { issuer: config.issuer }),
    ...(config.audience !== undefined && { audience: config.audience }),
  };
  const remembered = new Map<string, Identity>();
  const isCurrent = ({ keyId }: Identity) => keyId === undefined || keys?.holds(keyId) === true;
  return {
    isCurrent,
    async verify(token) {
      const hashed = hash('sha256', token, 'base64');
      const known = remembered.get(hashed);
      if (known) {
        await keys?.refreshed();
        if (Date.now() < known.expiresAt && isCurrent(known)) return known;
        remembered.delete(hashed);
      }
      const identity = toIdentity(await check(token, options).catch(explain));
      if (remembered.size >= REMEMBERED_MAX) forgetOldest(remembered);
      remembered.set(hashed, identity);
      return identity;
    },
  };
}

/** The token of an `Authorization` header, or null when it carries none. */
export function bearer(header: string | undefined): string | null {
  return /^Bearer +([A-Za-z0-9._~+/=-]+) *$/i.exec(header ?? '')?.[1] ?? null;
}

interface Checked {
  payload: JWTPayload;
  keyId?: string;
}
type Check = (token: string, options: JWTVerifyOptions) => Promise<Checked>;

function checkBySecret(secret: string | undefined): Check {
  if (secret === undefined) throw new Error('neither a secret nor a JWKS to verify tokens with');
  const key = new TextEncoder().encode(secret);
  return async (token, options) => {
    const { payload } = await jwtVerify(token, key, { ...options, algorithms: ['HS256'] });
    return { payload };
  };
}

function checkByKeys(keys: KeySet): Check {
  return (token, options) => keys.verify(token, { ...options, algorithms: JWKS_ALGORITHMS });
}

function toIdentity({ payload: { sub, exp, role }, keyId }: Checked): Identity {
  if (typeof sub !== 'string' || !USER_ID.test(sub)) {
    throw new UnauthorizedError('The token names no valid user');
  }
  const known = ROLES.find((name) => name === role);
  if (!known) throw new UnauthorizedError('The token names no known role');
  const expiresAt = (exp ?? 0) * 1000;
  if (Date.now() >= expiresAt) throw new UnauthorizedError('The token has expired');
  return { sub, role: known, expiresAt, ...(keyId !== undefined && { keyId }) };
}

/** Turns jose's error into a safe sentence; a key that is not known yet is not the token's fault. */
function explain(error: unknown): never {
  if (error instanceof TryAgainError) throw error;
  if (error instanceof errors.JWTExpired) throw new UnauthorizedError('The token has expired');
  throw new UnauthorizedError('A valid token is needed');
}

function forgetOldest(remembered: Map<string, Identity>): void {
  const [oldest] = remembered.keys();
  if (oldest !== undefined) remembered.delete(oldest);
}
